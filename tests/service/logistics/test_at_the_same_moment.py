"""Two replicas that hear of an order for the first time at the same moment."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from services.logistics.handlers import learn_facts
from shared.database import Database
from shared.events import Envelope, Event, received
from shared.events.shipments import ShipmentCreated, TrackingPushed
from shared.events.stock import StockDeducted
from tests.service.logistics.parcels import an_order_at_home
from tests.service.moments import until_one_waits


def heard(*events: Event) -> list[Any]:
    return [received(event, Envelope("1", "/orderbus/x", event.type, event.subject, datetime.now(UTC))) for event in events]


async def test_the_second_adds_to_what_the_first_has_learned(database: Database, order_id: str) -> None:
    async def hear_later() -> list[Event]:
        deducted = [StockDeducted(order_id=id, allocations=()) for id in (order_id, f"{order_id}-other")]
        async with database.transaction() as tx:
            await learn_facts(heard(*deducted), tx)
            return [out.event for out in tx.outgoing]

    async with database.transaction() as tx:
        await learn_facts(heard(an_order_at_home(order_id)), tx)
        later = asyncio.create_task(hear_later())
        await until_one_waits(database)

    match await later:
        case [ShipmentCreated(order_id=created), TrackingPushed(order_id=told)]:
            assert created == told == order_id
        case other:
            raise AssertionError(other)
    kept = await database.pool.fetch("SELECT state FROM shipment WHERE order_id LIKE $1 || '%' ORDER BY order_id", order_id)
    assert [row["state"] for row in kept] == ["booked", "awaited"]
