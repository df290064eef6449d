"""A service's own Postgres schema: its pool, its one way to open a transaction, and which failures are Postgres's own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import asyncpg
import orjson

from shared import telemetry, tls
from shared.clock import Clock
from shared.events import Envelope, Event
from shared.outgoing import Outgoing, envelop, forward, write
from shared.settings import Settings

Pool = asyncpg.Pool
Row = asyncpg.Record

# 40001 and 40P01: the statement was right, its moment was not; a cached one: a migration has come since it was prepared, it is
# prepared anew; the others: the connection or the server is gone.
_INFRASTRUCTURE = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that broke in the middle of something is given back to the pool
    asyncpg.PostgresConnectionError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    OSError,
    TimeoutError,
)


def is_infrastructure(error: BaseException) -> bool:
    """True when the failure says nothing about what was being done: the same will succeed later."""
    return isinstance(error, _INFRASTRUCTURE)


BY_KEY = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off"}
"""Every statement of a service finds its rows by a key. A plan is made while a table is still small and kept on the connection:
left to itself it would be a scan, and go on as one when there are millions of rows."""


async def connect(settings: Settings, service: str) -> Pool:
    """A pool that sees the service's own schema; jsonb comes and goes as Python objects."""
    return await asyncpg.create_pool(
        settings.postgres_url.get_secret_value(),
        ssl=tls.of_postgres(settings),
        min_size=1,
        max_size=settings.pool_size,
        command_timeout=settings.command_timeout,
        server_settings={"search_path": service, "application_name": f"orderbus-{service}", "timezone": "UTC", **BY_KEY},
        init=speak_json,
        reset=_as_it_is,
    )


async def _as_it_is(_: asyncpg.Connection) -> None:
    """Nothing that outlives a transaction is ever set on a connection, so nothing needs to be asked back for: that would be
    one more round trip for each transaction."""


async def speak_json(connection: asyncpg.Connection) -> None:
    """jsonb columns come as Python objects on this connection, and go as them."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),  # the binary form of jsonb is version 1 and the text
        decoder=lambda value: orjson.loads(value[1:]),
    )


ALWAYS = datetime.min.replace(tzinfo=UTC)
"""Of `alone_since`: no other release has ever run here."""

CLOCKS_DIFFER = timedelta(seconds=1)
"""More than what Postgres has told two processes is ever apart. What is further ahead was said while its clock was wrong: it is
not followed."""


class Reader(Protocol):
    """What reads: a transaction, or a connection outside one."""

    async def fetch(self, query: str, *args: Any) -> list[Row]: ...
    async def fetchrow(self, query: str, *args: Any) -> Row | None: ...
    async def fetchval(self, query: str, *args: Any) -> Any: ...


class Tx:
    """One open transaction. What is announced in it is published after it has committed, and only then. `alone_since`: what
    was announced then or later only processes of this release hear, none of the one before. `inbox_days`: for so long an event is
    known again."""

    def __init__(
        self,
        connection: Any,
        service: str,
        now: datetime,
        causes: Iterable[Envelope] = (),
        alone_since: datetime = ALWAYS,
        inbox_days: int = 30,
    ) -> None:
        self._connection = connection
        self.service = service
        self.now = now
        self.alone_since = alone_since
        self.inbox_days = inbox_days
        self.outgoing: list[Outgoing] = []
        self.woken: set[str] = set()
        self.afterwards: list[Callable[[], None]] = []
        self.heard: Sequence[Event] = ()
        self._causes: dict[str, Envelope] = {}
        self.caused_by(causes)

    async def fetch(self, query: str, *args: Any) -> list[Row]:
        """All rows."""
        rows: list[Row] = await self._connection.fetch(query, *args)
        return rows

    async def fetchrow(self, query: str, *args: Any) -> Row | None:
        """The first row, or None."""
        row: Row | None = await self._connection.fetchrow(query, *args)
        return row

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        return await self._connection.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        """Run a statement; the answer is Postgres's command tag, such as UPDATE 3."""
        tag: str = await self._connection.execute(query, *args)
        return tag

    def announce(self, events: Iterable[Event]) -> None:
        """Publish these facts once the transaction has committed."""
        only = next(iter(self._causes.values())) if len(self._causes) == 1 else None
        self.outgoing += [envelop(event, self.service, self.now, self.cause(event.subject) or only) for event in events]

    def forward(self, events: Iterable[tuple[Event, Envelope]]) -> None:
        """Publish other systems' events, as they are, once the transaction has committed."""
        self.outgoing += [forward(event, envelope) for event, envelope in events]

    def wake(self, job: str) -> None:
        """Start the named job as soon as the transaction has committed: there are intents for it."""
        self.woken.add(job)

    def once_committed(self, do: Callable[[], None]) -> None:
        """What is rolled back is not counted."""
        self.afterwards.append(do)

    def cause(self, subject: str) -> Envelope | None:
        """What led here, for an order or another subject: an intent keeps it, so that the trace goes on."""
        return self._causes.get(subject)

    def hear(self, events: Sequence[Event]) -> None:
        """These events are handled in this transaction: they are what led to whatever is announced in it."""
        self.heard = events
        # by what the event is about: another system's envelope may not say it
        self._follow({event.subject: event.envelope for event in events})

    def caused_by(self, causes: Iterable[Envelope]) -> None:
        """Go on from what an intent kept."""
        self._follow({cause.correlation_id or cause.subject: cause for cause in causes})

    def _follow(self, causes: Mapping[str, Envelope]) -> None:
        """What is announced here is later than what led to it, though two processes know Postgres's time only so well."""
        self._causes |= causes
        times = [cause.time for cause in causes.values() if cause.is_ours]
        if times and self.now <= (latest := max(times)) < self.now + CLOCKS_DIFFER:
            self.now = latest + timedelta(microseconds=1)


Entries = Sequence[tuple[Event, Envelope]]


@dataclass(frozen=True, slots=True)
class Journal:
    """Keeps what a service hears and says, inside the same transaction: orders' timeline. `statement` writes the arrays that
    `columns` gives, as its parameters from $4 on: it goes with the outbox's. No columns: nothing is to be kept."""

    statement: str
    columns: Callable[[Tx, Entries], Sequence[Sequence[Any]]]


@dataclass(eq=False)
class Database:
    """The one opener of transactions that announce: commits with the outbox, then hands what was announced to the relay."""

    pool: Pool
    service: str
    publish: Callable[[list[Outgoing]], None] = lambda _: None
    wake: Callable[[str], None] = lambda _: None
    journal: Journal | None = None
    alone_since: datetime = ALWAYS
    inbox_days: int = 30
    _clock: Clock = field(default_factory=Clock, init=False)

    @asynccontextmanager
    async def transaction(self, causes: Iterable[Envelope] = ()) -> AsyncIterator[Tx]:
        """Everything in the block commits together, or nothing does. `causes`: what led here, if it is no event."""
        async with self.pool.acquire() as connection, connection.transaction():
            now = await self._clock.now(connection)
            tx = Tx(telemetry.statements_of(connection), self.service, now, causes, self.alone_since, self.inbox_days)
            yield tx
            if self.journal is None:
                await write(tx, tx.outgoing)
            else:
                entries = [(event, event.envelope) for event in tx.heard]
                # what is only forwarded will be heard
                entries += [(out.event, out.envelope) for out in tx.outgoing if out.envelope.is_ours]
                await write(tx, tx.outgoing, self.journal.statement, self.journal.columns(tx, entries))
        self.publish(tx.outgoing)
        for job in tx.woken:
            self.wake(job)
        await asyncio.sleep(0)  # what goes on elsewhere goes first; counting can wait
        # taken from it: each holds the transaction, and a ring of all that it touched would wait for the collector
        afterwards, tx.afterwards = tx.afterwards, []
        for do in afterwards:
            do()
