"""The lines that docs/reading-events.md tells other systems to copy are run."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from shared import codec
from shared.events.orders import OrderPaid

PAGE = (Path(__file__).parents[2] / "docs" / "reading-events.md").read_text()
ONE = b'{"id": "1"}'
MESSAGES = [(codec.SINGLE, ONE, 1), (codec.BATCH, b"[" + ONE + b"," + ONE + b"]", 2)]


def block(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(code)


@pytest.mark.parametrize(("content_type", "body", "count"), MESSAGES)
def test_the_python_lines_read_one_event_and_many(content_type: str, body: bytes, count: int) -> None:
    scope: dict[str, object] = {}
    exec(block("python"), scope)

    assert scope["events"](content_type, body) == [{"id": "1"}] * count  # type: ignore[operator]


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
@pytest.mark.parametrize(("content_type", "body", "count"), MESSAGES)
def test_the_node_lines_read_one_event_and_many(content_type: str, body: bytes, count: int) -> None:
    script = f"{block('js')}; console.log(JSON.stringify(events({json.dumps(content_type)}, {json.dumps(body.decode())})))"

    said = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)

    assert json.loads(said.stdout) == [{"id": "1"}] * count


def test_the_example_order_is_one_we_take() -> None:
    decoded = codec.decode(block("json").encode(), codec.SINGLE, {})

    (event,) = decoded.events
    assert isinstance(event, OrderPaid)
    assert event.total == sum(line.amount for line in event.lines)
