"""docs/tutorial.md is followed word for word, and says what it shows."""

import asyncio
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from deploy.stack.state import CHECKOUT

PAGE = (CHECKOUT / "docs" / "tutorial.md").read_text()
STEPS = re.findall(r"```sh\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE, re.DOTALL)
"""What is typed, and what is shown of the answer."""

START, END = "./orderbus up\n", "./orderbus down\n"
"""Where servers are is another thing here; and they are other tests' too, so they stay."""


@pytest.mark.timeout(240)
async def test_a_newcomer_comes_from_the_first_order_to_the_first_dead_letter(running: Path, tmp_path: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    shell = await asyncio.create_subprocess_exec("bash", cwd=_a_checkout(tmp_path, running), stdin=pipe, stdout=pipe)
    try:
        await _type(shell, "set -o pipefail")
        for typed, shown in STEPS:
            if typed != END:
                await _until_it_is_said(
                    shell, typed.replace("/tmp/shop", str(tmp_path / "shop")), "" if typed == START else shown
                )
        code, said = await _type(shell, "./orderbus systems remove taobao-42")  # other journeys begin without it
        assert code == 0, said
    finally:
        shell.kill()
        await shell.wait()


def _a_checkout(tmp_path: Path, running: Path) -> Path:
    """Of this code, with the stack that runs already."""
    checkout = tmp_path / "checkout"
    shutil.copytree(CHECKOUT, checkout, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    (checkout / ".venv").symlink_to(Path(sys.prefix))
    (checkout / ".orderbus").symlink_to(running)
    return checkout


async def _until_it_is_said(shell: asyncio.subprocess.Process, typed: str, shown: str) -> None:
    """The step, again until it succeeds with everything that is shown: the newcomer was too quick."""
    while True:
        code, said = await _type(shell, typed)
        gists = [_gist(line) for line in said.splitlines()]
        if code == 0 and all(any(gist.startswith(_gist(line)) for gist in gists) for line in shown.splitlines()):
            return
        print(f"{typed}\nexit {code}:\n{said}")


async def _type(shell: asyncio.subprocess.Process, typed: str) -> tuple[int, str]:
    """The exit code, and what was said."""
    assert shell.stdin
    assert shell.stdout
    shell.stdin.write(f"eval {shlex.quote(typed)} </dev/null; printf '\\n%s\\0' $?\n".encode())
    said, _, code = (await shell.stdout.readuntil(b"\0")).decode().rstrip("\0").rpartition("\n")
    return int(code), said


def _gist(line: str) -> str:
    """A line without what is another each time: numbers, ids, causes, and what is left out."""
    return " ".join(re.sub(r"[0-9a-f-]{36}|[\d.:-]+|←.*|…,?.*", " ", line).split())
