"""docs/tutorial.md is followed word for word, and says what it shows."""

import asyncio
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from deploy.stack.state import CHECKOUT

PAGE = (CHECKOUT / "docs" / "tutorial.md").read_text()
STEPS = re.findall(r"```sh\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE, re.DOTALL)
"""What is typed, and what is shown of the answer."""

OF_ANY_STACK = ("./orderbus up\n", "./orderbus down\n")
"""Say where servers are, or that they are gone; here they are other tests' too."""


async def test_a_newcomer_comes_from_the_first_order_to_the_first_dead_letter(running: Path, tmp_path: Path) -> None:
    checkout = _a_checkout(tmp_path, running)
    script = "\n".join(_until_it_is_said(*step) for step in STEPS if step[0] != "./orderbus down\n")

    newcomer = await asyncio.create_subprocess_exec(
        *("timeout", "90", "bash", "-o", "pipefail", "-c", script.replace("/tmp/shop", str(tmp_path / "shop"))),
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await newcomer.communicate()

    assert newcomer.returncode == 0, said.decode()


def _a_checkout(tmp_path: Path, running: Path) -> Path:
    """Of this code, with the stack that runs already."""
    checkout = tmp_path / "checkout"
    shutil.copytree(CHECKOUT, checkout, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    (checkout / ".venv").symlink_to(Path(sys.prefix))
    (checkout / ".orderbus").symlink_to(running)
    return checkout


def _until_it_is_said(typed: str, shown: str) -> str:
    """The step in bash, again until it succeeds with everything that is shown: the newcomer was too quick."""
    wanted = "" if typed in OF_ANY_STACK else shown
    is_said = shlex.join([sys.executable, __file__, wanted])
    return f"until eval {shlex.quote(typed)} >said && {is_said} <said; do :; done; cat said"


def _lacking(shown: str, said: str) -> list[str]:
    """Lines that are shown and that none of what was said begins with. Numbers, ids and causes are other ones each time."""
    lines = [_gist(line) for line in said.splitlines()]
    return [line for line in shown.splitlines() if not any(each.startswith(_gist(line)) for each in lines)]


def _gist(line: str) -> str:
    return " ".join(re.sub(r"[0-9a-f-]{36}|[\d.:-]+|←.*|…,?.*", " ", line).split())


if __name__ == "__main__":
    sys.exit("\n".join(_lacking(sys.argv[1], sys.stdin.read())) or None)
