"""Two replicas that hear of an order at the same moment."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from services.inventory import store
from services.inventory.reservation import Reservation
from shared.database import Database, speak_json
from tests.service.house import House


@pytest.fixture
async def database(house: House) -> AsyncIterator[Database]:
    async with asyncpg.create_pool(house.database_url, server_settings={"search_path": "inventory"}, init=speak_json) as pool:
        yield Database(pool, "inventory")


async def test_one_waits_for_the_other_and_sees_what_it_has_learned(database: Database, order_id: str) -> None:
    second, third = f"{order_id}-2", f"{order_id}-3"

    async def hear_later() -> dict[str, Reservation]:
        async with database.transaction() as tx:
            return await store.lock_reservations(tx, {order_id, second, third})

    async with database.transaction() as tx:
        known = await store.lock_reservations(tx, {order_id, second})
        later = asyncio.create_task(hear_later())
        while not await database.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
        await store.save(tx, [replace(known[order_id], cancelled=True)])

    blank = Reservation(order_id)
    assert known == {order_id: blank, second: Reservation(second)}
    assert await later == {order_id: replace(blank, cancelled=True), second: Reservation(second), third: Reservation(third)}
