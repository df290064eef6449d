"""From when on an inbox knows our own events by their ids."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from deploy.migrations import migrate
from deploy.stack.servers import Servers
from tests.service.house import a_database


@pytest.fixture
async def connection(servers: Servers) -> AsyncIterator[asyncpg.Connection]:
    """To a database of the test's own, with the schema of orders."""
    connection = await asyncpg.connect(await a_database(servers, "orders"))
    yield connection
    await connection.close()


async def test_a_new_one_always_does(connection: asyncpg.Connection) -> None:
    assert await since(connection) < datetime(2026, 1, 1, tzinfo=UTC)


async def test_one_that_has_heard_events_does_once_no_older_process_is_left(connection: asyncpg.Connection) -> None:
    await connection.execute("DROP TABLE orders.inbox_by_id")
    await connection.execute("DELETE FROM orders.migration WHERE name = 'shared/0005_inbox_by_id.sql'")
    await connection.execute("INSERT INTO orders.inbox (key, slot) VALUES ($1, -1)", uuid4())

    await migrate(connection, "orders")

    assert abs(await since(connection) - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)


async def since(connection: asyncpg.Connection) -> datetime:
    moment: datetime = await connection.fetchval("SELECT since FROM orders.inbox_by_id")
    return moment
