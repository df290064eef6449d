"""The whole suite: a stack of its own in a private folder, and the faults on it."""

import asyncio
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.stack import stack
from deploy.stack.servers import FILE, Source
from deploy.stack.state import StackFolder, checkout_folder, open_folder
from tests.faults import of_events, of_partners, of_postgres, of_rabbitmq, of_services, of_time
from tests.faults.results import Findings
from tests.faults.running import Run, Say, a_scene
from tests.faults.scene import APART, CATALOGUE, Fault

FAULTS = (of_services, of_postgres, of_rabbitmq, of_events, of_partners, of_time)
"""Importing them has filled the catalogue."""

NAMED_BY_URL = ("ORDERBUS_POSTGRES_URL", "ORDERBUS_RABBITMQ_URL", "ORDERBUS_RABBITMQ_MANAGEMENT_URL", "ORDERBUS_REDIS_URL")


def faults(only: Sequence[str] = ()) -> list[Fault]:
    """Those named, or all. Raises LookupError."""
    if unknown := [name for name in only if name not in CATALOGUE]:
        raise LookupError(f"no such fault: {', '.join(unknown)}; there are: {', '.join(CATALOGUE)}")
    return [fault for fault in CATALOGUE.values() if not only or fault.name in only]


@contextmanager
def a_stack(say: Say) -> Iterator[tuple[StackFolder, dict[str, Any]]]:
    """Servers that may be tormented: private ones, never any that are named by URL."""
    named = {name: os.environ.pop(name) for name in NAMED_BY_URL if name in os.environ}
    folder = open_folder(Path(tempfile.mkdtemp(prefix="orderbus-faults-")))
    try:
        # the machine's own programs, where it has them: a container takes no signals
        folder.write(FILE, dict.fromkeys(("postgres", "rabbitmq", "redis"), Source.PROGRAMS))
        yield folder, stack.up(say, folder)
    finally:
        stack.down(folder=folder, erase=True)
        shutil.rmtree(folder.path, ignore_errors=True)
        os.environ.update(named)


def run(chosen: Sequence[Fault], seconds: float, seed: int, say: Say, *, is_brief: bool = False) -> Findings:
    """Each of the faults; or, for so many seconds, any of them at random. In brief, those of a group are judged together."""
    findings = Findings(seed)
    with a_stack(say) as (folder, addresses):
        asyncio.run(_run(findings, folder, addresses, chosen, seconds, say, is_brief=is_brief))
        if not findings.ok:
            kept = checkout_folder().path / "faults"
            shutil.copytree(folder.room("logs"), kept, dirs_exist_ok=True)
            say(f"what the services and servers logged is kept in {kept}")
    return findings


def grouped(chosen: Sequence[Fault]) -> list[list[Fault]]:
    """Those that are judged together in brief; what goes on beside others goes beside the first of them."""
    groups: dict[str, list[Fault]] = {}
    for fault in chosen:
        groups.setdefault(fault.group, []).append(fault)
    beside = groups.pop(APART, [])
    if not groups:
        return [beside] if beside else []
    (groups.get("partners") or next(iter(groups.values()))).extend(beside)
    return list(groups.values())


async def _run(
    findings: Findings,
    folder: StackFolder,
    addresses: dict[str, Any],
    chosen: Sequence[Fault],
    seconds: float,
    say: Say,
    *,
    is_brief: bool,
) -> None:
    async with a_scene(folder, addresses, findings.seed, is_brief=is_brief) as scene:
        on_scene = Run(scene, say)
        if seconds:
            chance, deadline = random.Random(findings.seed), time.monotonic() + seconds
            anytime = [fault for fault in chosen if fault.is_random]
            while time.monotonic() < deadline:
                findings.faults += await on_scene.each([chance.choice(anytime)])
        elif is_brief:
            for group in grouped(chosen):
                findings.faults += await on_scene.together(group)
        else:
            findings.faults += await on_scene.each(chosen)
