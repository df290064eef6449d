"""One letter: what could not be handled, why, and when it is tried again."""

import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
from pydantic import ValidationError

from shared import codec
from shared.codec import Decoded, Unreadable
from shared.database import Row
from shared.events import Envelope, Event
from shared.origin import Origin

RETRY_AFTER = (
    timedelta(seconds=1),
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
)
"""What fails for want of something comes right within minutes; after that a person must look."""

MAX_REASON = 2000


@dataclass(frozen=True, slots=True)
class Letter:
    """One event, or one message, that could not be handled. Without a stack it was never tried, and is not retried.

    `origin` is None for what was kept before origins were, and for what an administrator put among the dead by hand.
    """

    body: bytes
    reason: str
    envelope: Envelope | None
    stack: str | None
    origin: Origin | None


def of_failure(event: Event, error: Exception) -> Letter:
    """An event whose handler raised."""
    stack = "".join(traceback.format_exception(error))
    return Letter(codec.whole(event), reason_of(error)[:MAX_REASON], event.envelope, stack, event.origin)


def of_unreadable(unreadable: Unreadable) -> Letter:
    """What was no event of ours: only a person can mend it."""
    return Letter(unreadable.body, unreadable.reason[:MAX_REASON], unreadable.envelope, None, unreadable.origin)


def reason_of(error: Exception) -> str:
    """The failure in a line that every operator may read: row contents and refused values, which may be personal, are
    in the stack alone."""
    match error:
        case ValidationError():
            said = codec.explain(error)
        case asyncpg.PostgresError():
            said = str(error.args[0]) if error.args else ""
        case _:
            said = str(error)
    return f"{type(error).__name__}: {said}"


def next_try(attempts: int, failed_at: datetime) -> datetime | None:
    """When an event that has failed so often is tried again; None: never, until a person says so."""
    return failed_at + RETRY_AFTER[max(attempts, 1) - 1] if attempts <= len(RETRY_AFTER) else None


def read(body: bytes, origin: Origin | None = None) -> Decoded:
    """A letter's events: its body is what was on the wire, one event or an array of them. What may not have come from this
    origin is as unreadable as when it came."""
    return codec.decode(body, codec.BATCH if body.lstrip().startswith(b"[") else codec.SINGLE, {}, origin=origin)


def origin_of(row: Row) -> Origin | None:
    """What is kept of a letter's origin."""
    return None if row["queue"] is None else Origin(row["exchange"], row["routing_key"], row["queue"])
