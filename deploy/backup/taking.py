"""Takes a backup while everything runs.

An event lives in its outbox until the broker has it, then on the bus until its consumers have committed what it means. So a
dump alone would lose what is between the two. Here the bus is listened to first, until all that was on it before has been
handled. Then, for the milliseconds in which no outbox may change, the moment is fixed in both: Postgres's snapshot, and how
many messages have been heard. What is heard before belongs to transactions that the snapshot shows; what is heard after does
not count.
"""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import aio_pika
import asyncpg
from aio_pika.abc import AbstractChannel, AbstractQueue

from deploy.backup import bus, dumping
from deploy.services import SERVICES
from deploy.stack.state import Say, StackError, silent

DATABASE, BUS, ABOUT = "database.dump", "bus.jsonl", "about.json"

IN_HAND = 5.0
"""Seconds. What was delivered to a service is committed within milliseconds; who needs longer has lost Postgres."""

_LOCK = f"LOCK TABLE {', '.join(f'{service}.outbox' for service in SERVICES)} IN SHARE MODE"


@dataclass(frozen=True, slots=True)
class Moment:
    """The one moment that a backup shows."""

    at: datetime
    snapshot: str
    heard: int


async def take(postgres_url: str, rabbitmq_url: str, folder: Path, say: Say = silent, patience: float = 60) -> dict[str, object]:
    """Write a backup into a new folder, which is there whole or not at all; what its about.json says. Raises StackError."""
    draft = _begin(folder)
    async with await aio_pika.connect(rabbitmq_url, timeout=10) as connection:
        channel = await connection.channel()
        ear = await bus.listen(channel)
        say("listening to the bus until all that was on it before is handled")
        await bus.until_taken(channel, patience)
        await asyncio.sleep(IN_HAND)
        async with _moment(postgres_url, channel, ear) as moment:
            say(f"writing down {moment.at:%Y-%m-%d %H:%M:%S %Z}")
            bus.write(draft / BUS, await bus.first(ear, moment.heard))
            await asyncio.to_thread(dumping.dump, postgres_url, moment.snapshot, draft / DATABASE)
    about: dict[str, object] = {"format": 1, "moment": moment.at.isoformat(), "messages": moment.heard}
    (draft / ABOUT).write_text(json.dumps(about) + "\n")
    _finish(draft, folder)
    return about


def _begin(folder: Path) -> Path:
    """An empty folder beside, for its owner only."""
    if folder.exists():
        raise StackError(f"{folder} is there already: a backup is a new folder")
    draft = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    return draft


def _finish(draft: Path, folder: Path) -> None:
    """Put it in its place once it is on the disk."""
    for file in draft.iterdir():
        _to_disk(file)
    draft.rename(folder)
    _to_disk(folder.parent)


@asynccontextmanager
async def _moment(postgres_url: str, channel: AbstractChannel, ear: AbstractQueue) -> AsyncIterator[Moment]:
    """Fix the moment; its snapshot can be read for as long as the block lasts. Raises StackError when it cannot be fixed."""
    locking, showing = [await asyncpg.connect(postgres_url, timeout=10) for _ in range(2)]
    try:
        async with showing.transaction(isolation="repeatable_read", readonly=True):
            try:
                async with locking.transaction():
                    await locking.execute(f"SET LOCAL lock_timeout = '15s'; {_LOCK}")
                    snapshot = await showing.fetchval("SELECT pg_export_snapshot()")
                    at = await showing.fetchval("SELECT clock_timestamp()")
                    heard = await bus.waiting_in(channel, ear.name)
            except asyncpg.LockNotAvailableError:
                raise StackError("a service has not committed for 15 seconds; ./orderbus status tells more") from None
            yield Moment(at, snapshot, heard)
    finally:
        await locking.close()
        await showing.close()


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
