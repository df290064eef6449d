"""Letters kept, and tried again at their time, until they take effect or a person must look.

An attempt is counted before it is made, so that an event which kills whoever tries it does not do so for ever.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

import structlog
import uuid_utils.compat

from shared import metrics, telemetry
from shared.codec import Unreadable
from shared.database import Database, Row, Tx, is_infrastructure
from shared.dead_letters.letter import MAX_REASON, RETRY_AFTER, Letter, next_try, of_failure, of_unreadable, origin_of, read
from shared.events import Event

log = structlog.get_logger()

LEASE = timedelta(seconds=60)
"""A letter being tried is left alone by other replicas for so long."""

AT_ONCE = 100

MAX_STATEMENT = 16 * 1024 * 1024
"""Bytes of letters in one statement: of a gigabyte or more Postgres takes none, and says so as if it were away."""

NOBODYS_WORD = "origin: it is not known who published this, so nobody can tell whether they may: have it published again"

Handle = Callable[[Event], Awaitable[None]]
"""Puts one event through the inbox: twice is once."""


async def store(tx: Tx, letters: Sequence[Letter]) -> None:
    """Keep the letters; those whose handler raised are tried again soon."""
    part: list[Letter] = []
    size = 0
    for letter in letters:
        if part and size + len(letter.body) > MAX_STATEMENT:
            await _insert(tx, part)
            part, size = [], 0
        part.append(letter)
        size += len(letter.body)
    await _insert(tx, part)


async def _insert(tx: Tx, letters: Sequence[Letter]) -> None:
    await tx.execute(
        """
        INSERT INTO dead_letter (id, event_id, event_type, source, subject, body, reason, stack, exchange, routing_key, queue,
                                 attempts, state, next_attempt_at)
        SELECT letter.*, 1, CASE WHEN stack IS NULL THEN 'dead' ELSE 'retrying' END,
               CASE WHEN stack IS NOT NULL THEN $12::timestamptz END
          FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[],
                      $9::text[], $10::text[], $11::text[])
               letter (id, event_id, event_type, source, subject, body, reason, stack, exchange, routing_key, queue)
        """,
        [uuid_utils.compat.uuid7() for _ in letters],
        [letter.envelope and _text(letter.envelope.id) for letter in letters],
        [letter.envelope and _text(letter.envelope.type) for letter in letters],
        [letter.envelope and _text(letter.envelope.source) for letter in letters],
        [letter.envelope and _text(letter.envelope.subject) for letter in letters],
        [letter.body for letter in letters],
        [_text(letter.reason) for letter in letters],
        [letter.stack and _text(letter.stack) for letter in letters],
        [letter.origin and _text(letter.origin.exchange) for letter in letters],
        [letter.origin and _text(letter.origin.routing_key) for letter in letters],
        [letter.origin and _text(letter.origin.queue) for letter in letters],
        next_try(1, tx.now),
    )


def _text(value: str) -> str:
    """What Postgres keeps no text of, NUL and halves of characters, is replaced; the body has it as it was."""
    return value.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


async def retry_due(database: Database, handle: Handle) -> int:
    """Try again the letters whose time has come, each alone; how many there were.

    `handle` puts the event through the inbox, so that a letter handled just before a crash is not handled twice.
    """
    tried = 0
    while tried < AT_ONCE and (letter := await _claim(database)) is not None:
        tried += 1
        try:
            await _retry(database, letter["id"], letter["attempts"], handle)
        except Exception as error:
            if is_infrastructure(error):
                log.warning("a try says nothing of the event; not counted", letter=str(letter["id"]), error=repr(error))
                await _hand_back(database, letter["id"], letter["attempts"])
            else:  # it waits for its lease to run out; its neighbours do not wait for it
                log.exception("a try could not be recorded", letter=str(letter["id"]))
    return tried


async def _claim(database: Database) -> Row | None:
    """The letter that has been due for longest, its attempt counted. One at a time: of those that are claimed together, one that
    kills the process would use up the attempts of all, and they would be given up untried."""
    async with database.transaction() as tx:
        await _give_up_deadly(tx)
        return await tx.fetchrow(
            """
            UPDATE dead_letter SET attempts = attempts + 1, next_attempt_at = $1 + $2::interval
             WHERE id = (SELECT id FROM dead_letter WHERE state = 'retrying' AND next_attempt_at <= $1
                          ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING id, attempts
            """,
            tx.now,
            LEASE,
        )


async def _give_up_deadly(tx: Tx) -> None:
    """Whose last try was begun and never ended, in any process, is not tried again."""
    await tx.execute(
        """
        UPDATE dead_letter
           SET state = 'dead', next_attempt_at = NULL, last_failed_at = $1,
               reason = left('the process died while trying it; before that: ' || reason, $3)
         WHERE id IN (SELECT id FROM dead_letter WHERE state = 'retrying' AND next_attempt_at <= $1 AND attempts > $2
                       FOR UPDATE SKIP LOCKED)
        """,
        tx.now,
        len(RETRY_AFTER),
        MAX_REASON,
    )


async def _retry(database: Database, id: UUID, attempts: int, handle: Handle) -> None:
    """One try. The letter is locked meanwhile: a person who decides about it waits for the outcome and sees it."""
    async with database.transaction() as tx:
        letter = await tx.fetchrow(
            """
            SELECT body, stack, exchange, routing_key, queue
              FROM dead_letter WHERE id = $1 AND state = 'retrying' AND attempts = $2 FOR UPDATE SKIP LOCKED
            """,
            id,
            attempts,
        )
        if letter is None:  # a person, or another replica, came in between
            return
        failure = await _try(letter, handle)
        metrics.dead_letter_retries.labels("failed" if failure else "handled").inc()
        await (_still_dead(tx, id, attempts, failure) if failure else _handled(tx, id))


async def _try(letter: Row, handle: Handle) -> Letter | None:
    origin = origin_of(letter)
    if origin is None and letter["stack"] is None:  # with a stack it had been let in: its handler raised
        return of_unreadable(Unreadable(NOBODYS_WORD, letter["body"]))
    decoded = read(letter["body"], origin)
    if decoded.unreadable:
        return of_unreadable(decoded.unreadable[0])
    for event in decoded.events:
        try:
            await handle(event)
        except Exception as error:
            if is_infrastructure(error):
                raise
            return of_failure(event, error)
    return None


async def _handled(tx: Tx, id: UUID) -> None:
    await tx.execute(
        """
        UPDATE dead_letter SET state = 'handled', next_attempt_at = NULL, closed_at = $2, closed_by = 'retry' WHERE id = $1
        """,
        id,
        tx.now,
    )


async def _still_dead(tx: Tx, id: UUID, attempts: int, failure: Letter) -> None:
    about = telemetry.about(failure.envelope) if failure.envelope else {}
    log.error("event failed again", letter=str(id), attempts=attempts, reason=failure.reason, **about)
    await tx.execute(
        """
        UPDATE dead_letter
           SET reason = $2, stack = $3, last_failed_at = $4, next_attempt_at = $5,
               state = CASE WHEN $5::timestamptz IS NULL THEN 'dead' ELSE 'retrying' END
         WHERE id = $1
        """,
        id,
        _text(failure.reason),
        failure.stack and _text(failure.stack),
        tx.now,
        next_try(attempts, tx.now) if failure.stack else None,  # what cannot be read will not become readable
    )


async def _hand_back(database: Database, id: UUID, attempts: int) -> None:
    """The attempt did not count. Nothing can be tried while Postgres is away, so this waits for it."""
    while True:
        try:
            async with database.transaction() as tx:
                await tx.execute(
                    """
                    UPDATE dead_letter SET attempts = attempts - 1, next_attempt_at = $3
                     WHERE id = $1 AND state = 'retrying' AND attempts = $2
                    """,
                    id,
                    attempts,
                    tx.now + RETRY_AFTER[1],
                )
            return
        except Exception as error:
            if not is_infrastructure(error):
                raise
            await asyncio.sleep(1)
