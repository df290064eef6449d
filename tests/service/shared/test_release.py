"""From when on no process of the release before is reckoned with."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

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


async def test_where_there_was_none_it_is_alone_from_the_start(connection: asyncpg.Connection) -> None:
    assert await alone_since(connection) < datetime(2026, 1, 1, tzinfo=UTC)


async def test_after_another_it_is_alone_an_hour_later(connection: asyncpg.Connection) -> None:
    await connection.execute("DROP TABLE orders.release")
    await connection.execute("DELETE FROM orders.migration WHERE name = 'shared/0005_release.sql'")

    await migrate(connection, "orders")

    assert abs(await alone_since(connection) - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)


async def alone_since(connection: asyncpg.Connection) -> datetime:
    moment: datetime = await connection.fetchval("SELECT alone_since FROM orders.release WHERE version = '0.2.0'")
    return moment
