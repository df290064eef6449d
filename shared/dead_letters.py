"""Dead letters: what could not be handled, with its reason, its next try, and in the end a person's decision."""

import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
import uuid_utils.compat

from shared import codec
from shared.codec import Unreadable
from shared.database import Database, Row, Tx, is_infrastructure
from shared.events import Envelope, Event

log = structlog.get_logger()

RETRY_AFTER = (
    timedelta(seconds=1),
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
)
"""What fails for want of something comes right within minutes; after that a person must look."""

LEASE = timedelta(seconds=60)
"""A letter being tried is left alone by other replicas for so long."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One event, or one message, that could not be handled. Without a stack it was never tried, and is not retried."""

    body: bytes
    reason: str
    envelope: Envelope | None
    stack: str | None


def of_failure(event: Event, error: Exception) -> Letter:
    """An event whose handler raised."""
    stack = "".join(traceback.format_exception(error))
    return Letter(codec.encode(event, event.envelope), f"{type(error).__name__}: {error}"[:2000], event.envelope, stack)


def of_unreadable(unreadable: Unreadable) -> Letter:
    """What was no event of ours: only a person can mend it."""
    return Letter(unreadable.body, unreadable.reason[:2000], unreadable.envelope, None)


async def store(tx: Tx, letters: Sequence[Letter]) -> None:
    """Keep the letters; those whose handler raised are tried again soon."""
    due = tx.now + RETRY_AFTER[0]
    await tx.execute(
        """
        INSERT INTO dead_letter (id, event_id, event_type, source, subject, body, reason, stack,
                                 attempts, state, next_attempt_at)
        SELECT letter.*, 1, CASE WHEN stack IS NULL THEN 'dead' ELSE 'retrying' END,
               CASE WHEN stack IS NOT NULL THEN $9::timestamptz END
          FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[])
               letter (id, event_id, event_type, source, subject, body, reason, stack)
        """,
        [uuid_utils.compat.uuid7() for _ in letters],
        [letter.envelope and letter.envelope.id for letter in letters],
        [letter.envelope and letter.envelope.type for letter in letters],
        [letter.envelope and letter.envelope.source for letter in letters],
        [letter.envelope and letter.envelope.subject for letter in letters],
        [letter.body for letter in letters],
        [letter.reason for letter in letters],
        [letter.stack for letter in letters],
        due,
    )


async def retry_due(database: Database, handle: Callable[[Event], Awaitable[None]]) -> int:
    """Try again the letters whose time has come, each alone; how many there were.

    `handle` puts the event through the inbox, so that a letter handled just before a crash is not handled twice.
    """
    async with database.transaction() as tx:
        due = await tx.fetch(
            """
            UPDATE dead_letter SET next_attempt_at = $1 + $2::interval
             WHERE id IN (SELECT id FROM dead_letter WHERE state = 'retrying' AND next_attempt_at <= $1
                           ORDER BY next_attempt_at LIMIT 100 FOR UPDATE SKIP LOCKED)
            RETURNING id, body, attempts
            """,
            tx.now,
            LEASE,
        )
    for letter in due:
        failure = await _try(letter["body"], handle)
        async with database.transaction() as tx:
            await (_still_dead(tx, letter, failure) if failure else _handled(tx, letter["id"]))
    return len(due)


async def _try(body: bytes, handle: Callable[[Event], Awaitable[None]]) -> Letter | None:
    decoded = codec.decode(body, codec.SINGLE, {})
    if decoded.unreadable:
        return of_unreadable(decoded.unreadable[0])
    try:
        await handle(decoded.events[0])
    except Exception as error:
        if is_infrastructure(error):  # says nothing of the event: its lease runs out and it is tried again
            raise
        return of_failure(decoded.events[0], error)
    return None


async def _handled(tx: Tx, id: UUID) -> None:
    await tx.execute(
        """
        UPDATE dead_letter SET state = 'handled', next_attempt_at = NULL, closed_at = $2, closed_by = 'retry' WHERE id = $1
        """,
        id,
        tx.now,
    )


async def _still_dead(tx: Tx, letter: Row, failure: Letter) -> None:
    attempts = letter["attempts"] + 1
    next_attempt_at = tx.now + RETRY_AFTER[attempts - 1] if attempts <= len(RETRY_AFTER) else None
    log.error("event failed again", letter=str(letter["id"]), attempts=attempts, reason=failure.reason)
    await tx.execute(
        """
        UPDATE dead_letter
           SET attempts = $2, reason = $3, stack = $4, last_failed_at = $5, next_attempt_at = $6,
               state = CASE WHEN $6::timestamptz IS NULL THEN 'dead' ELSE 'retrying' END
         WHERE id = $1
        """,
        letter["id"],
        attempts,
        failure.reason,
        failure.stack,
        tx.now,
        next_attempt_at,
    )
