"""How many partners' answers are waited for at a time, and what becomes of each."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import structlog

from shared.database import Database, Tx
from shared.events import Envelope
from shared.intents import Job, Worker


@dataclass(frozen=True)
class Intent:
    """To ask a partner about an order."""

    cause: Envelope | None
    attempts: int = 1


class Away:
    """A database whose every transaction fails, for a reason that is the answer's."""

    @asynccontextmanager
    async def transaction(self, *_: Any) -> AsyncIterator[Tx]:
        raise ValueError
        yield


async def _claim(_: Tx, __: int) -> Sequence[Intent]:
    return []


async def _call(_: Intent) -> str:
    return "yes"


async def _record(_: Tx, __: Sequence[tuple[Intent, str]]) -> None:
    pass


async def test_an_answer_that_cannot_be_kept_is_logged_with_its_order_and_its_trace() -> None:
    worker = Worker(Job("charge", _claim, _call, _record), cast(Database, Away()), 64)
    causes = [Envelope(id, "/orderbus/orders", "order.placed", id, datetime.now(UTC)) for id in ("T-1", "T-2")]
    answers = [await worker._call(Intent(cause), begin_by=float("inf")) for cause in causes]

    with structlog.testing.capture_logs() as logs:
        await worker._keep([answer for answer in answers if answer])

    assert [line["order_id"] for line in logs] == ["T-1", "T-2"]
    assert all(len(line["trace_id"]) == 32 for line in logs)


TEN = 10


@dataclass
class Errands:
    """So many, for a partner who answers at once and a Postgres that is away as often as it is told."""

    due: int
    away: int = 0
    under_way: int = 0
    most_under_way: int = 0
    recorded: list[int] = field(default_factory=list)
    all_recorded: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def transaction(self, *_: Any) -> AsyncIterator[Tx]:
        yield cast(Tx, None)

    async def claim(self, _: Tx, limit: int) -> Sequence[Intent]:
        taken = min(limit, self.due)
        self.due -= taken
        return [Intent(None)] * taken

    async def call(self, _: Intent) -> str:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return "yes"

    async def record(self, _: Tx, answered: Sequence[tuple[Intent, str]]) -> None:
        if self.away:
            self.away -= 1
            raise ConnectionRefusedError
        self.recorded.append(len(answered))
        if sum(self.recorded) == TEN:
            self.all_recorded.set()

    async def carry_out(self, at_a_time: int) -> None:
        """All of them. Nobody looks by the clock."""
        job = Job("charge", self.claim, self.call, self.record, poll=timedelta(hours=1))
        worker = Worker(job, cast(Database, self), at_a_time)
        running = asyncio.create_task(worker.run())
        worker.wake()
        await asyncio.wait_for(self.all_recorded.wait(), 30)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_no_more_calls_are_under_way_than_may_be_and_it_goes_on_as_they_end() -> None:
    errands = Errands(TEN)

    await errands.carry_out(at_a_time=3)

    assert errands.most_under_way == 3


async def test_answers_that_come_together_are_recorded_together() -> None:
    errands = Errands(TEN)

    await errands.carry_out(at_a_time=64)

    assert errands.recorded == [TEN]


async def test_answers_wait_while_postgres_is_away() -> None:
    errands = Errands(TEN, away=1)

    await errands.carry_out(at_a_time=64)

    assert sum(errands.recorded) == TEN
