"""What becomes of a partner's answer, told of the order that it is about."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
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
    worker = Worker(Job("charge", _claim, _call, _record), cast(Database, Away()))
    causes = [Envelope(id, "/orderbus/orders", "order.placed", id, datetime.now(UTC)) for id in ("T-1", "T-2")]
    answers = [await worker._call(Intent(cause), begin_by=float("inf")) for cause in causes]

    with structlog.testing.capture_logs() as logs:
        await worker._keep([answer for answer in answers if answer])

    assert [line["order_id"] for line in logs] == ["T-1", "T-2"]
    assert all(len(line["trace_id"]) == 32 for line in logs)
