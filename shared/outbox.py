"""Outbox: what a transaction announced, and wrote, is published from memory after it, then removed; a sweeper publishes
what a crash or a lost broker left. Publishing is at least once; the consumers' inbox makes it once."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

import structlog

from shared import codec, metrics, telemetry
from shared.database import Pool
from shared.outgoing import Outgoing
from shared.seldom import Seldom

log = structlog.get_logger()

MAX_MESSAGE_EVENTS = 1_000
MAX_MESSAGE_BYTES = 512 * 1024
TAKEN_AT_ONCE = 2_000

TIDIED_EVERY = 0.2
"""Seconds. A transaction of its own for what each message leaves behind would double the commits of a quiet hour."""

LEFT_BEHIND = timedelta(seconds=5)
"""A row older than this was left by a crash or a lost broker: the fast path takes milliseconds."""

LEFT_ALONE = 5.0
"""Seconds. A type that cannot be published, because a queue or a right is gone, must not stand in the way of the others."""

DRAINED_WITHIN = 5
"""Seconds for what is still in hand when the process ends. What the broker does not take by then stays, for another's sweeper."""


class Publisher(Protocol):
    """Publishes with confirms; raises when the broker did not take the message, or did not say."""

    async def publish(self, event_type: str, body: bytes, content_type: str) -> None: ...


class Relay:
    """Publishes committed events. One per process; while a publish is under way the next batch gathers."""

    def __init__(self, pool: Pool, publisher: Publisher) -> None:
        self._pool = pool
        self._publisher = publisher
        self._waiting: list[tuple[str, str, bytes]] = []
        self._published: list[str] = []
        self._spans: dict[str, telemetry.Span] = {}
        self._wake = asyncio.Event()
        self._left_alone: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()
        self._seldom = Seldom()

    def publish(self, outgoing: list[Outgoing]) -> None:
        """Take over what a transaction has committed. When the broker is behind, memory stays bounded: the sweeper
        finds in the table what is not taken here."""
        if outgoing and len(self._waiting) < 10 * TAKEN_AT_ONCE:
            self._waiting += [(out.id, out.envelope.type, out.body) for out in outgoing]
            self._spans |= {out.id: out.span for out in outgoing if out.span}
            self._wake.set()

    async def run(self) -> None:
        """The fast path, for as long as the process lives."""
        while True:
            await self._wake.wait()
            rows, self._waiting = self._waiting[:TAKEN_AT_ONCE], self._waiting[TAKEN_AT_ONCE:]
            if not self._waiting:
                self._wake.clear()
            self._published += await self._send(rows)

    async def tidy(self) -> None:
        """Remove the rows that the broker has, for as long as the process lives."""
        while True:
            await asyncio.sleep(TIDIED_EVERY)
            try:
                await self._remove_published()
            except Exception as error:  # the sweeper may publish them again by then; the inboxes ignore that
                log.warning("published rows stay in the outbox", error=repr(error), rows=len(self._published))

    async def sweep(self) -> int:
        """Publish what was left behind, some at a time; how many there were. A type of which something fails waits a while."""
        self._left_alone = {type: until for type, until in self._left_alone.items() if time.monotonic() < until}
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(
                """
                SELECT id::text, type, body FROM outbox WHERE created_at < now() - $1::interval AND type <> all($3::text[])
                ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
                """,
                LEFT_BEHIND,
                TAKEN_AT_ONCE,
                list(self._left_alone),
            )
            done = await self._send([(row["id"], row["type"], row["body"]) for row in rows])
            failed = {row["id"]: row["type"] for row in rows}
            for id in done:
                del failed[id]
            self._left_alone |= dict.fromkeys(failed.values(), time.monotonic() + LEFT_ALONE)
            await connection.execute("DELETE FROM outbox WHERE id = any($1::uuid[])", done)
            return len(done)

    async def drain(self) -> None:
        """Before the process ends: publish what is still in hand."""
        rows, self._waiting = self._waiting, []
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAINED_WITHIN):
                self._published += await self._send(rows)
        await self._remove_published()

    async def _remove_published(self) -> None:
        if done := list(self._published):
            await self._pool.execute("DELETE FROM outbox WHERE id = any($1::uuid[])", done)
            del self._published[: len(done)]

    async def _send(self, rows: Sequence[tuple[str, str, bytes]]) -> list[str]:
        """Publish, many events of a type in one message; the ids that the broker has confirmed."""
        messages = _messages(rows)
        if len(messages) == 1:  # at once: a task of its own would come after all that is ready by now
            return await self._publish_one(*messages[0])
        outcomes = await asyncio.gather(*(self._publish_one(*message) for message in messages))
        return [id for ids in outcomes for id in ids]

    async def _publish_one(self, event_type: str, ids: list[str], bodies: list[bytes]) -> list[str]:
        body, content_type = codec.join(bodies)
        try:
            await self._publisher.publish(event_type, body, content_type)
        except (Exception, asyncio.CancelledError) as error:
            # a connection that is lost cancels what waits on it: that must not end the sweeper, as our own stopping does
            if isinstance(error, asyncio.CancelledError) and (task := asyncio.current_task()) and task.cancelling():
                raise
            metrics.publish_failures.labels(event_type).inc(len(ids))
            self._tell(event_type, len(ids), error)
            self._end_spans(ids, error)
            return []
        metrics.events_published.labels(event_type).inc(len(ids))
        self._unsaid.pop(event_type, None)
        self._end_spans(ids)
        return ids

    def _tell(self, event_type: str, failed: int, error: BaseException) -> None:
        """In the log: at once, and then what has come together meanwhile."""
        self._unsaid[event_type] += failed
        if self._seldom.is_time(event_type):
            log.warning(
                "not published; stays in the outbox", type=event_type, events=self._unsaid.pop(event_type), error=repr(error)
            )

    def _end_spans(self, ids: Sequence[str], error: BaseException | None = None) -> None:
        if self._spans:
            for id in ids:
                if (span := self._spans.pop(id, None)) is not None:
                    span.end(error)


def _messages(rows: Sequence[tuple[str, str, bytes]]) -> list[tuple[str, list[str], list[bytes]]]:
    """Events of one type go together, up to a number and a size."""
    open_messages: dict[str, tuple[str, list[str], list[bytes]]] = {}
    sizes: dict[str, int] = {}
    full = []
    for id, event_type, body in rows:
        message = open_messages.setdefault(event_type, (event_type, [], []))
        message[1].append(id)
        message[2].append(body)
        sizes[event_type] = sizes.get(event_type, 0) + len(body)
        if len(message[1]) >= MAX_MESSAGE_EVENTS or sizes[event_type] >= MAX_MESSAGE_BYTES:
            full.append(open_messages.pop(event_type))
            sizes[event_type] = 0
    return full + list(open_messages.values())
