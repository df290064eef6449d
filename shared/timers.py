"""Duties done by the clock. Each is `run_once(tx) -> how many it dealt with`; what is due is a row with a time, claimed
with SKIP LOCKED, so that replicas share the work and a restart forgets nothing."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from shared.database import Database, Reader, Tx, is_infrastructure

log = structlog.get_logger()

RunOnce = Callable[[Tx], Awaitable[int]]
Overdue = Callable[[Reader, timedelta], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Duty:
    """A duty and how often it looks for work. `overdue` counts what should have been done so long ago."""

    run_once: RunOnce
    interval: timedelta
    overdue: Overdue | None = None

    @property
    def name(self) -> str:
        return self.run_once.__name__


class Duties(list[Duty]):
    """A service's duties: its `jobs.py` makes one `every = Duties()`."""

    def __call__(self, interval: timedelta, overdue: Overdue | None = None) -> Callable[[RunOnce], RunOnce]:
        def add(run_once: RunOnce) -> RunOnce:
            self.append(Duty(run_once, interval, overdue))
            return run_once

        return add


async def run_duty(duty: Duty, database: Database) -> None:
    """For as long as the process lives: a transaction each time, again at once while there is work."""

    async def once() -> int:
        async with database.transaction() as tx:
            return await duty.run_once(tx)

    await repeat(once, duty.interval, duty.name)


async def repeat(once: Callable[[], Awaitable[int]], interval: timedelta, name: str) -> None:
    """Call `once` every interval, and again at once while it found work. A failure is logged and waits its turn."""
    while True:
        try:
            if await once():
                continue
        except Exception as error:
            level = log.warning if is_infrastructure(error) else log.exception
            level("a duty failed; it will be tried again", duty=name, error=repr(error))
        # replicas that started together should not all look at the same moment
        await asyncio.sleep(interval.total_seconds() * random.uniform(0.8, 1.2))
