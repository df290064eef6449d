"""The retry itself, call by call, on a schema of its own in which no service runs: it can be killed at any point."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import structlog

from deploy.stack.servers import Servers
from shared import codec, dead_letters, inbox
from shared.database import Database, Tx, speak_json
from shared.dead_letters import deciding
from shared.dead_letters.reading import Selection
from shared.events import Envelope, Event
from shared.events.orders import OrderPaid
from shared.problems import Conflict
from tests.builders import a_paid_order
from tests.service.house import a_database


class Killed(BaseException):
    """The process ends here: nothing after it happens."""


class Shelf:
    """A schema with dead letters, and how often each event took effect."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def row(self, id: UUID) -> Any:
        return await self.database.pool.fetchrow("SELECT * FROM dead_letter WHERE id = $1", id)

    async def bury(self, error: Exception | None = None) -> UUID:
        """A letter whose next try is due."""
        envelope = Envelope(str(uuid4()), "/shops/a", "order.paid", "T-1", datetime.now(UTC))
        (event,) = codec.decode(codec.encode(a_paid_order(), envelope), codec.SINGLE, {}).events
        async with self.database.transaction() as tx:
            await dead_letters.store(tx, [dead_letters.of_failure(event, error or ValueError("not yet"))])
        id: UUID = await self.database.pool.fetchval("SELECT id FROM dead_letter WHERE event_id = $1", envelope.id)
        await self.make_due(id)
        return id

    async def make_due(self, id: UUID) -> None:
        """As if its time had come, or its lease run out."""
        await self.database.pool.execute(
            "UPDATE dead_letter SET next_attempt_at = now() - interval '1 second' WHERE id = $1 AND state = 'retrying'", id
        )

    async def take_effect(self, event: Event) -> None:
        """What the service does: through the inbox."""
        await inbox.handle_once(self.database, self._count, [event])

    async def _count(self, events: list[OrderPaid], tx: Tx) -> None:
        for event in events:
            await tx.execute("INSERT INTO effect VALUES ($1)", event.envelope.id)

    async def effects(self, id: UUID) -> int:
        event_id = (await self.row(id))["event_id"]
        return int(await self.database.pool.fetchval("SELECT count(*) FROM effect WHERE id = $1", event_id))

    async def retry(self, handle: Callable[[Event], Awaitable[None]] | None = None) -> int:
        return await dead_letters.retry_due(self.database, handle or self.take_effect)


@pytest.fixture(scope="module")
async def shelf(servers: Servers) -> AsyncIterator[Shelf]:
    url = await a_database(servers, "orders")
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE orders.effect (id text)")
    await connection.close()
    async with asyncpg.create_pool(url, min_size=1, server_settings={"search_path": "orders"}, init=speak_json) as pool:
        yield Shelf(Database(pool, "orders"))


async def test_a_process_killed_between_handling_and_marking_does_not_handle_twice(shelf: Shelf) -> None:
    id = await shelf.bury()

    async def handle_and_die(event: Event) -> None:
        await shelf.take_effect(event)
        raise Killed

    with pytest.raises(Killed):
        await shelf.retry(handle_and_die)
    assert (await shelf.row(id))["state"] == "retrying"
    await shelf.make_due(id)
    await shelf.retry()

    assert (await shelf.row(id))["state"] == "handled"
    assert await shelf.effects(id) == 1


async def test_what_fails_again_is_logged_with_its_order_and_its_trace(shelf: Shelf) -> None:
    id = await shelf.bury()

    async def fail(_: Event) -> None:
        raise ValueError

    with structlog.testing.capture_logs() as logs:
        await shelf.retry(fail)

    (line,) = logs
    assert (line["letter"], line["order_id"]) == (str(id), "T-1")
    assert len(line["trace_id"]) == 32
    await shelf.make_due(id)
    await shelf.retry()


async def test_a_process_killed_before_handling_leaves_the_letter_to_the_next(shelf: Shelf) -> None:
    id = await shelf.bury()

    async def die(_: Event) -> None:
        raise Killed

    with pytest.raises(Killed):
        await shelf.retry(die)
    assert await shelf.effects(id) == 0
    await shelf.make_due(id)
    await shelf.retry()

    assert await shelf.effects(id) == 1


async def test_an_event_that_kills_whoever_tries_it_does_not_do_so_for_ever(shelf: Shelf) -> None:
    id = await shelf.bury()
    deaths = 0

    async def die(_: Event) -> None:
        nonlocal deaths
        deaths += 1
        raise Killed

    while (await shelf.row(id))["state"] == "retrying":
        await shelf.make_due(id)
        try:
            await shelf.retry(die)
        except Killed:
            continue

    letter = await shelf.row(id)
    assert (letter["state"], deaths) == ("dead", 5)
    assert letter["reason"] == "the process died while trying it; before that: ValueError: not yet"


async def test_its_neighbours_are_not_counted_for_a_try_that_they_did_not_get(shelf: Shelf) -> None:
    deadly, *others = [await shelf.bury() for _ in range(3)]
    deadly_event = (await shelf.row(deadly))["event_id"]

    async def die(event: Event) -> None:
        if event.envelope.id == deadly_event:
            raise Killed
        await shelf.take_effect(event)

    with pytest.raises(Killed):
        await shelf.retry(die)
    assert [(await shelf.row(id))["attempts"] for id in (deadly, *others)] == [2, 1, 1]

    await shelf.retry(die)
    assert [(await shelf.row(id))["state"] for id in (deadly, *others)] == ["retrying", "handled", "handled"]


async def test_each_failed_try_is_later_than_the_one_before_until_a_person_must_look(shelf: Shelf) -> None:
    id = await shelf.bury()
    waits = []

    async def fail(_: Event) -> None:
        raise ValueError("still not")

    while (letter := await shelf.row(id))["state"] == "retrying":
        await shelf.make_due(id)
        await shelf.retry(fail)
        if (letter := await shelf.row(id))["next_attempt_at"]:
            waits.append(letter["next_attempt_at"] - letter["last_failed_at"])

    assert waits == list(dead_letters.RETRY_AFTER[1:])
    assert (letter["state"], letter["attempts"], letter["reason"]) == ("dead", 6, "ValueError: still not")


async def test_a_failure_that_is_postgres_own_counts_no_attempt_and_holds_nobody_up(shelf: Shelf) -> None:
    unlucky, good = await shelf.bury(), await shelf.bury()
    event_id = (await shelf.row(unlucky))["event_id"]

    async def deadlock(event: Event) -> None:
        if event.envelope.id == event_id:
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        await shelf.take_effect(event)

    await shelf.retry(deadlock)

    letter = await shelf.row(unlucky)
    assert (letter["state"], letter["attempts"], letter["reason"]) == ("retrying", 1, "ValueError: not yet")
    assert letter["next_attempt_at"] <= datetime.now(UTC) + timedelta(seconds=5)
    assert await shelf.effects(good) == 1


async def test_replicas_that_try_at_the_same_time_try_each_letter_once(shelf: Shelf) -> None:
    ids = [await shelf.bury() for _ in range(10)]
    tried: list[str] = []

    async def handle(event: Event) -> None:
        tried.append(event.envelope.id)
        await shelf.take_effect(event)

    await asyncio.gather(*(shelf.retry(handle) for _ in range(4)))

    assert len(tried) == len(set(tried)) == 10
    assert [await shelf.effects(id) for id in ids] == [1] * 10


async def test_who_discards_a_letter_that_is_being_tried_waits_and_sees_that_it_took_effect(shelf: Shelf) -> None:
    id = await shelf.bury()
    deciding_now: list[asyncio.Task[None]] = []

    async def discard() -> None:
        async with shelf.database.transaction() as tx:
            await deciding.discard(tx, await deciding.choose(tx, Selection(ids=[id]), "discarded"), "lin", "too late")

    async def handle(event: Event) -> None:
        deciding_now.append(asyncio.create_task(discard()))
        while not await shelf.database.pool.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
            await asyncio.sleep(0.02)
        await shelf.take_effect(event)

    await shelf.retry(handle)

    with pytest.raises(Conflict, match="was handled by retry"):
        await deciding_now[0]
    assert ((await shelf.row(id))["state"], await shelf.effects(id)) == ("handled", 1)


async def test_a_letter_that_was_discarded_after_it_was_claimed_is_not_tried(shelf: Shelf) -> None:
    first, second = await shelf.bury(), await shelf.bury()
    by_event = {(await shelf.row(id))["event_id"]: id for id in (first, second)}
    tried: list[UUID] = []

    async def discard_the_other(event: Event) -> None:
        tried.append(by_event[event.envelope.id])
        (other,) = {first, second} - set(tried)
        async with shelf.database.transaction() as tx:
            await deciding.discard(tx, await deciding.choose(tx, Selection(ids=[other]), "discarded"), "lin", "not this one")

    await shelf.retry(discard_the_other)

    assert len(tried) == 1
    assert {(await shelf.row(id))["state"] for id in by_event.values()} == {"handled", "discarded"}
