"""What the broker gave up delivering is kept, whatever it is: there is nowhere else for it to go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import asyncpg
import pytest
from aio_pika.abc import AbstractChannel as Channel

from services.orders.main import service
from shared import dead_letters, inbox
from shared.bus.broker import DEAD_EXCHANGE, DELIVERY_LIMIT, dead_queue_name, queue_name
from shared.bus.consumer import SUSPICIOUS, Consumer
from shared.bus.received import COMINGS_BACK, GIVEN_UP
from shared.codec import BATCH
from shared.database import Database, connect
from shared.dead_letters import retrying
from shared.origin import EXCHANGE
from shared.settings import Settings
from shared.subscriptions import Subscriptions
from tests.builders import a_paid_order
from tests.service.orders.letters import on_the_wire

DEAD = dead_queue_name(service.name)


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    pool = await connect(settings, service.name)
    yield pool
    pool.terminate()


@asynccontextmanager
async def consuming(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[None]:
    """A process of orders listens to what is dead."""
    consumer = Consumer(settings, service.name, Subscriptions(), Database(pool, service.name))
    await consumer.start()
    running = asyncio.create_task(consumer.run())
    try:
        yield
        await consumer.stop()
    finally:
        running.cancel()


async def give_up(broker: Channel, *bodies: bytes) -> bytes:
    """What the broker has given up; the message."""
    body = b"[" + b",".join(bodies) + b"]"
    await (await broker.get_exchange(DEAD_EXCHANGE)).publish(aio_pika.Message(body, content_type=BATCH), DEAD)
    return body


async def come_back(settings: Settings, name: str, times: int) -> None:
    """So often a process takes what stands in front of the queue, and dies."""
    async with await aio_pika.connect(settings.rabbitmq_url.get_secret_value()) as connection:
        for _ in range(times):
            channel = await connection.channel()
            queue = await channel.get_queue(name)
            while await queue.get(fail=False) is None:
                await asyncio.sleep(0.01)
            await channel.close()


async def letters(pool: asyncpg.Pool, count: int) -> list[asyncpg.Record]:
    """Once there are so many."""
    while len(found := await pool.fetch("SELECT * FROM dead_letter ORDER BY id")) < count:
        await asyncio.sleep(0.01)
    return list(found)


async def in_the_dead_queue(broker: Channel) -> int | None:
    return (await broker.declare_queue(DEAD, passive=True)).declaration_result.message_count


async def test_what_has_come_back_often_from_there_too_is_kept_as_it_came(
    settings: Settings, broker: Channel, pool: asyncpg.Pool
) -> None:
    body = await give_up(broker, on_the_wire(a_paid_order("T-1")), on_the_wire(a_paid_order("T-2")))
    await come_back(settings, DEAD, SUSPICIOUS)

    async with consuming(settings, pool):
        (letter,) = await letters(pool, 1)

    assert (letter["body"], letter["state"], letter["event_id"], letter["reason"]) == (body, "dead", None, GIVEN_UP)
    assert await in_the_dead_queue(broker) == 0


async def test_it_holds_no_card_number(settings: Settings, broker: Channel, pool: asyncpg.Pool) -> None:
    await give_up(broker, b'"4111 1111 1111 1111"')
    await come_back(settings, DEAD, SUSPICIOUS)

    async with consuming(settings, pool):
        (letter,) = await letters(pool, 1)

    assert letter["body"] == b'["[card number]"]'


async def test_what_cannot_be_kept_event_by_event_is_kept_as_it_came(
    settings: Settings, broker: Channel, pool: asyncpg.Pool
) -> None:
    await pool.execute("ALTER TABLE dead_letter ADD CONSTRAINT no_event_is_known CHECK (event_id IS NULL)")
    body = await give_up(broker, on_the_wire(a_paid_order("T-1")), on_the_wire(a_paid_order("T-2")))

    async with consuming(settings, pool):
        (letter,) = await letters(pool, 1)

    assert letter["body"] == body


async def test_what_cannot_be_kept_at_all_waits(
    settings: Settings, broker: Channel, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "LONGEST_WAIT", 0.05)
    await pool.execute("ALTER TABLE dead_letter ADD CONSTRAINT nothing_is_kept CHECK (FALSE); CREATE SEQUENCE tries")
    await pool.execute(
        """
        CREATE FUNCTION tried() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''tries''); RETURN NEW; END';
        CREATE TRIGGER tried BEFORE INSERT ON dead_letter FOR EACH ROW EXECUTE FUNCTION tried();
        """
    )
    body = await give_up(broker, on_the_wire(a_paid_order("T-1")))

    async with consuming(settings, pool):
        while await pool.fetchval("SELECT last_value FROM tries") < 3:
            await asyncio.sleep(0.01)
        await pool.execute("ALTER TABLE dead_letter DROP CONSTRAINT nothing_is_kept")
        (letter,) = await letters(pool, 1)

    assert letter["body"] == body


async def test_of_its_life_before_it_died_nothing_is_counted(settings: Settings, broker: Channel) -> None:
    name = queue_name(service.name, "order.paid")
    await (await broker.get_exchange(EXCHANGE)).publish(aio_pika.Message(b"{}"), "order.paid")
    await come_back(settings, name, DELIVERY_LIMIT + 1)

    dead = await broker.get_queue(DEAD)
    while (message := await dead.get(fail=False)) is None:
        await asyncio.sleep(0.01)

    assert message.headers.get(COMINGS_BACK, 0) == 0


async def test_letters_that_are_too_large_for_one_statement_are_kept_in_several(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "MAX_STATEMENT", 100)
    said = [b"%03d" % n * 20 for n in range(5)] + [b"x" * 200, b"y"]
    database, statements = Database(pool, service.name), 0
    kept = [dead_letters.Letter(body, "junk", None, None, None) for body in said]

    async with database.transaction() as tx:
        execute = tx.execute

        async def counted(query: str, *arguments: Any) -> str:
            nonlocal statements
            statements += "INSERT INTO dead_letter" in query
            return await execute(query, *arguments)

        monkeypatch.setattr(tx, "execute", counted)
        await dead_letters.store(tx, kept)

    assert [row["body"] for row in await letters(pool, len(said))] == said
    assert statements == 7
