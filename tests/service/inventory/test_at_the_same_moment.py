"""Two replicas that hear of an order at the same moment."""

import asyncio
from dataclasses import replace

from services.inventory import store
from services.inventory.reservation import Reservation
from shared.database import Database
from tests.service.moments import until_one_waits


async def test_one_waits_for_the_other_and_sees_what_it_has_learned(database: Database, order_id: str) -> None:
    second, third = f"{order_id}-2", f"{order_id}-3"

    async def hear_later() -> dict[str, Reservation]:
        async with database.transaction() as tx:
            return await store.lock_reservations(tx, {order_id, second, third})

    async with database.transaction() as tx:
        known = await store.lock_reservations(tx, {order_id, second})
        later = asyncio.create_task(hear_later())
        await until_one_waits(database)
        await store.save(tx, [replace(known[order_id], cancelled=True)])

    blank = Reservation(order_id)
    assert known == {order_id: blank, second: Reservation(second)}
    assert await later == {order_id: replace(blank, cancelled=True), second: Reservation(second), third: Reservation(third)}
