"""The whole suite: a stack of its own in a private folder, and the faults on it."""

import os
import random
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import uvloop

from deploy.stack import stack
from deploy.stack.state import StackFolder, checkout_folder
from tests.faults import of_events, of_partners, of_postgres, of_rabbitmq, of_redis, of_services, of_time
from tests.faults.results import Findings
from tests.faults.running import Run, Say, a_scene
from tests.faults.scene import APART, CATALOGUE, Fault
from tests.private_folder import a_private_folder

FAULTS = (of_services, of_postgres, of_rabbitmq, of_redis, of_events, of_partners, of_time)
"""Importing them has filled the catalogue."""


def faults(only: Sequence[str] = ()) -> list[Fault]:
    """Those named, or all. Raises LookupError."""
    if unknown := [name for name in only if name not in CATALOGUE]:
        raise LookupError(f"no such fault: {', '.join(unknown)}; there are: {', '.join(CATALOGUE)}")
    return [fault for fault in CATALOGUE.values() if not only or fault.name in only]


@contextmanager
def a_stack(
    say: Say, *, observed: bool = False, told: Mapping[str, str] | None = None
) -> Iterator[tuple[StackFolder, dict[str, Any]]]:
    """A stack that may be tormented; `observed`: with Prometheus beside it; `told`: what its services are told beside."""
    with a_private_folder("faults") as folder, patch.dict(os.environ, told or {}):
        yield folder, stack.up(say, folder, observed=observed)


def run(chosen: Sequence[Fault], seconds: float, seed: int, say: Say, *, is_brief: bool = False) -> Findings:
    """Each of the faults; or, for so many seconds, any of them at random. In brief, those of a group are judged together."""
    findings = Findings(seed)
    with a_stack(say) as (folder, addresses):
        uvloop.run(_run(findings, folder, addresses, chosen, seconds, say, is_brief=is_brief))
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
