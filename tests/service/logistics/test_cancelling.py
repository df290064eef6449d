"""A cancelled order's parcel stays here, if it is still here."""

import asyncio

from shared.events.orders import OrderCancelled
from shared.events.shipments import ShipmentCancelled, ShipmentCreated, ShipmentInTransit, TrackingPushed
from tests.service.house import Bus, Client
from tests.service.logistics.parcels import (
    a_phone,
    an_order_abroad,
    an_order_at_home,
    at_dhl,
    becomes,
    messages_to,
    of_order,
    paid,
)


def cancelled(order_id: str) -> OrderCancelled:
    return OrderCancelled(order_id=order_id, reason="changed_mind")


async def test_an_order_cancelled_before_it_was_paid_ships_nothing_and_says_so(
    bus: Bus, logistics: Client, order_id: str
) -> None:
    await paid(bus, an_order_at_home(f"{order_id}.first"))
    await bus.expect(TrackingPushed, order_id=f"{order_id}.first")
    await bus.publish(cancelled(order_id), cancelled(f"{order_id}.first"))
    await bus.expect(ShipmentCancelled, order_id=f"{order_id}.first")  # so the other one has been heard too

    await paid(bus, an_order_at_home(order_id))
    await paid(bus, an_order_at_home(f"{order_id}.last"))

    await bus.expect(TrackingPushed, order_id=f"{order_id}.last")
    assert not bus.all(ShipmentCreated, order_id=order_id)
    await bus.expect(ShipmentCancelled, order_id=order_id)  # its pieces are off the books: inventory waits for this
    assert len(bus.all(ShipmentCancelled, order_id=order_id)) == 1
    assert (await logistics.get("/api/shipments", params={"order_id": order_id})).json() == {"shipments": []}


async def test_orders_paid_and_cancelled_at_the_same_moment_all_end_cancelled(bus: Bus, logistics: Client, order_id: str) -> None:
    orders = [f"{order_id}.{number}" for number in range(40)]

    for order in orders:
        await asyncio.gather(paid(bus, an_order_at_home(order)), bus.publish(cancelled(order)))
    await paid(bus, an_order_at_home(f"{order_id}.last"))
    await bus.expect(ShipmentCreated, order_id=f"{order_id}.last")
    await bus.publish(cancelled(f"{order_id}.last"))
    await bus.expect(ShipmentCancelled, order_id=f"{order_id}.last")

    for order in orders:
        shipments = (await logistics.get("/api/shipments", params={"order_id": order})).json()["shipments"]
        assert [shipment["state"] for shipment in shipments] in ([], ["cancelled"])
        made = [shipment for shipment in shipments if shipment["waybill"]]
        assert len(bus.all(ShipmentCreated, order_id=order)) == len(made)


async def test_our_own_fleets_waybill_is_withdrawn_at_once(bus: Bus, logistics: Client, order_id: str) -> None:
    await paid(bus, an_order_at_home(order_id))
    await bus.expect(ShipmentCreated, order_id=order_id)

    await bus.publish(cancelled(order_id))

    await bus.expect(ShipmentCancelled, order_id=order_id)
    assert (await of_order(logistics, order_id))["state"] == "cancelled"


async def test_that_dhls_waybill_is_not_used_is_not_said_before_dhl_says_that_it_has_no_parcel(
    bus: Bus, logistics: Client, sandbox: Client, order_id: str
) -> None:
    await paid(bus, an_order_abroad(order_id), an_order_at_home(f"{order_id}.last"))
    await bus.expect(ShipmentCreated, order_id=order_id)
    await bus.expect(ShipmentCreated, order_id=f"{order_id}.last")
    await sandbox.post("/sandbox/faults", json={"partner": "dhl", "error_rate": 1})

    await bus.publish(cancelled(order_id), cancelled(order_id), cancelled(f"{order_id}.last"))
    await bus.expect(ShipmentCancelled, order_id=f"{order_id}.last")
    assert not bus.all(ShipmentCancelled, order_id=order_id)
    await sandbox.delete("/sandbox/faults", params={"partner": "dhl"})

    gone = await bus.expect(ShipmentCancelled, order_id=order_id)
    assert len(await at_dhl(sandbox, gone.shipment_id)) == 1
    assert (await of_order(logistics, order_id))["state"] == "cancelled"


async def test_a_waybill_that_was_being_made_when_the_order_was_cancelled_is_found_and_withdrawn(
    bus: Bus, sandbox: Client, order_id: str
) -> None:
    phone = a_phone()

    async def is_being_made() -> bool:
        books = (await sandbox.get("/sandbox/ledger")).json()
        return len(books["shipments"]) > before

    before = len((await sandbox.get("/sandbox/ledger")).json()["shipments"])
    await paid(bus, an_order_abroad(order_id, postcode="00408", phone=phone))
    await becomes(is_being_made)

    await bus.publish(cancelled(order_id))

    gone = await bus.expect(ShipmentCancelled, order_id=order_id)
    assert len(await at_dhl(sandbox, gone.shipment_id)) == 1
    assert not bus.all(ShipmentCreated, order_id=order_id)
    assert await messages_to(sandbox, phone) == []


async def test_a_booking_that_was_never_answered_is_called_off_once_dhl_says_that_there_is_none(
    bus: Bus, logistics: Client, sandbox: Client, order_id: str
) -> None:
    await sandbox.post("/sandbox/faults", json={"partner": "dhl", "error_rate": 1})
    await paid(bus, an_order_abroad(order_id))

    async def is_cancelled() -> bool:
        return bool((await of_order(logistics, order_id))["state"] == "cancelled")

    async def is_known() -> bool:
        return bool((await logistics.get("/api/shipments", params={"order_id": order_id})).json()["shipments"])

    await becomes(is_known)
    await bus.publish(cancelled(order_id))
    await becomes(is_cancelled)

    await sandbox.delete("/sandbox/faults", params={"partner": "dhl"})

    gone = await bus.expect(ShipmentCancelled, order_id=order_id)
    assert await at_dhl(sandbox, gone.shipment_id) == []


async def test_a_parcel_on_its_way_is_not_withdrawn(bus: Bus, logistics: Client, sandbox: Client, order_id: str) -> None:
    await paid(bus, an_order_abroad(order_id))
    created = await bus.expect(ShipmentCreated, order_id=order_id)
    await sandbox.post(f"/sandbox/shipments/{created.waybill}/scan", json={"status": "transit"})
    await bus.expect(ShipmentInTransit, order_id=order_id)
    await paid(bus, an_order_at_home(f"{order_id}.last"))
    await bus.expect(ShipmentCreated, order_id=f"{order_id}.last")

    await bus.publish(cancelled(order_id), cancelled(f"{order_id}.last"))
    await bus.expect(ShipmentCancelled, order_id=f"{order_id}.last")

    assert not bus.all(ShipmentCancelled, order_id=order_id)
    assert (await of_order(logistics, order_id))["state"] == "in_transit"
