"""Starts a client in a process of its own, follows it, and takes what it saw."""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import orjson

from deploy.stack.state import CHECKOUT
from tests.load import meter
from tests.load.installation import Installation
from tests.load.load import Load, Outcome
from tests.load.meter import Reading

Follow = Callable[[int, int], None]
"""Hears how many orders were sent, and how many have ended."""

LONGEST_LINE = 256 * 1024**2


async def carry_out(installation: Installation, load: Load, follow: Follow) -> tuple[Outcome, Reading, Reading]:
    """One load, and what the meters said before and after it. Raises RuntimeError when the client breaks."""
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "tests.load.client"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        limit=LONGEST_LINE,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    try:
        client.stdin.write(orjson.dumps(asdict(installation.client)) + b"\n" + orjson.dumps(asdict(load)) + b"\n")
        await _next(client.stdout)
        before = await meter.read(installation)
        client.stdin.write(b"go\n")
        while "outcome" not in (said := await _next(client.stdout)):
            follow(said["sent"], said["ended"])
        after = await meter.read(installation)
        outcome = Outcome(**said["outcome"])
        follow(outcome.orders, outcome.orders - outcome.missing)
        return outcome, before, after
    finally:
        if client.returncode is None:
            client.terminate()
        await client.wait()


async def _next(output: asyncio.StreamReader) -> dict[str, Any]:
    line = await output.readline()
    if not line:
        raise RuntimeError("the client ended before it was done")
    return dict(orjson.loads(line))
