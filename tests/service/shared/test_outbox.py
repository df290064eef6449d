"""What a crash or a broker left in the outbox is published by the sweeper, whatever stands before it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from deploy.stack.servers import Servers
from shared import outbox
from shared.outbox import TAKEN_AT_ONCE, Relay
from tests.service.house import a_database


class Broker:
    """Takes every type but those."""

    def __init__(self, *refused: str) -> None:
        self.refuses = set(refused)
        self.has: list[str] = []

    async def publish(self, event_type: str, body: bytes, content_type: str) -> None:
        if event_type in self.refuses:
            raise RuntimeError("NO_ROUTE")
        self.has.append(event_type)


async def leave_behind(pool: asyncpg.Pool, event_type: str, count: int, hours: int) -> None:
    """As if a process had died so long ago, before it published these."""
    await pool.execute(
        r"""
        INSERT INTO outbox (id, type, body, created_at)
        SELECT gen_random_uuid(), $1, '{}', now() - $3 * interval '1 hour' FROM generate_series(1, $2)
        """,
        event_type,
        count,
        hours,
    )


@pytest.fixture
async def pool(servers: Servers) -> AsyncIterator[asyncpg.Pool]:
    """Of a schema in which nobody else is, with 2,001 rows of one type before one of another."""
    url = await a_database(servers, "orders")
    async with asyncpg.create_pool(url, min_size=1, server_settings={"search_path": "orders"}) as pool:
        await leave_behind(pool, "order.paid", TAKEN_AT_ONCE + 1, hours=2)
        await leave_behind(pool, "order.placed", 1, hours=1)
        yield pool


async def test_a_type_that_cannot_be_published_does_not_keep_the_others_from_it(pool: asyncpg.Pool) -> None:
    broker = Broker("order.paid")
    relay = Relay(pool, broker)

    assert [await relay.sweep(), await relay.sweep()] == [0, 1]

    assert broker.has == ["order.placed"]


async def test_it_is_published_when_it_can_be_again(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "LEFT_ALONE", 0)
    broker = Broker("order.paid", "order.placed")
    relay = Relay(pool, broker)
    assert await relay.sweep() == 0

    broker.refuses.clear()

    assert [await relay.sweep(), await relay.sweep()] == [TAKEN_AT_ONCE, 2]
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0
