"""From a paid order to a waybill that the shopper knows."""

import time

import asyncpg

from services.logistics import jobs, store
from services.logistics.carriers.own_fleet import check_digit
from services.logistics.shipping import ANOTHERS_WAYBILL, Booked, Errand, Kind, State
from shared.database import Database
from shared.events.orders import OrderCancelled, OrderReleased
from shared.events.shipments import ShipmentCancelled, ShipmentCreated, ShipmentFailed, TrackingPushed
from shared.events.stock import StockDeducted
from tests.builders import a_paid_order
from tests.service.house import Bus, Client, House
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


async def test_a_parcel_at_home_has_a_number_of_our_own_fleet_and_the_shopper_is_told(
    bus: Bus, logistics: Client, order_id: str
) -> None:
    led_here = await paid(bus, an_order_at_home(order_id))

    created = await bus.expect(ShipmentCreated, order_id=order_id)
    pushed = await bus.expect(TrackingPushed, order_id=order_id)
    assert created.carrier == "own_fleet"
    assert created.waybill.startswith("OF")
    assert int(created.waybill[-1]) == check_digit(created.waybill[2:-1])
    assert (pushed.tracking_number, pushed.channel) == (created.waybill, "app")
    assert created.envelope.causation_id in led_here
    assert created.envelope.source == "/orderbus/logistics"
    shipment = await of_order(logistics, order_id)
    assert (shipment["state"], shipment["waybill"]) == ("booked", created.waybill)
    assert (await logistics.get(f"/api/shipments/{created.shipment_id}")).json() == shipment
    assert "李雷" not in str(shipment)


async def test_an_order_paid_three_times_is_one_parcel(bus: Bus, order_id: str) -> None:
    event_id, _ = await paid(bus, an_order_at_home(order_id))
    await paid(bus, an_order_at_home(order_id), id=event_id)
    await paid(bus, an_order_at_home(order_id), an_order_at_home(order_id))
    await paid(bus, an_order_at_home(f"{order_id}.last"))

    await bus.expect(TrackingPushed, order_id=f"{order_id}.last")
    assert len(bus.all(ShipmentCreated, order_id=order_id)) == 1
    assert len(bus.all(TrackingPushed, order_id=order_id)) == 1


async def test_an_order_paid_in_another_system_is_not_shipped_before_orders_has_admitted_it(bus: Bus, order_id: str) -> None:
    await bus.publish(an_order_at_home(order_id), source="/shops/taobao-42")
    await bus.publish(StockDeducted(order_id=order_id, allocations=()), source="/orderbus/inventory")
    await paid(bus, an_order_at_home(f"{order_id}.last"))

    await bus.expect(TrackingPushed, order_id=f"{order_id}.last")
    assert not bus.all(ShipmentCreated, order_id=order_id)


async def test_two_hundred_orders_at_once_have_two_hundred_numbers(bus: Bus, order_id: str) -> None:
    orders = [f"{order_id}.{number}" for number in range(200)]

    await paid(bus, *(an_order_at_home(order) for order in orders))

    waybills = {(await bus.expect(ShipmentCreated, order_id=order)).waybill for order in orders}
    assert len(waybills) == 200


async def test_a_shopper_with_a_phone_is_told_by_text_message(bus: Bus, sandbox: Client, order_id: str) -> None:
    phone = a_phone()

    await paid(bus, an_order_at_home(order_id, phone=phone))

    pushed = await bus.expect(TrackingPushed, order_id=order_id)
    [text] = await messages_to(sandbox, phone)
    assert pushed.channel == "sms"
    assert pushed.tracking_number in text


async def test_a_text_message_whose_answer_never_came_is_not_sent_again(bus: Bus, sandbox: Client, order_id: str) -> None:
    begun = time.monotonic()
    await paid(bus, an_order_at_home(order_id, phone="+10000000408"))

    pushed = await bus.expect(TrackingPushed, order_id=order_id, timeout=20)
    assert time.monotonic() - begun > store.lease().total_seconds()

    sent = [text for text in await messages_to(sandbox, "+10000000408") if pushed.tracking_number in text]
    assert (len(sent), pushed.channel) == (1, "sms")


async def test_a_text_message_that_failed_is_sent_again(bus: Bus, sandbox: Client, order_id: str) -> None:
    await paid(bus, an_order_at_home(order_id, phone="+10000000500"))

    pushed = await bus.expect(TrackingPushed, order_id=order_id)

    sent = [text for text in await messages_to(sandbox, "+10000000500") if pushed.tracking_number in text]
    assert (len(sent), pushed.channel) == (1, "sms")


async def test_a_parcel_abroad_has_a_waybill_of_dhl(bus: Bus, sandbox: Client, order_id: str) -> None:
    led_here = await paid(bus, an_order_abroad(order_id))

    created = await bus.expect(ShipmentCreated, order_id=order_id)
    await bus.expect(TrackingPushed, order_id=order_id, tracking_number=created.waybill)
    [waybill] = await at_dhl(sandbox, created.shipment_id)
    assert (created.carrier, created.waybill) == ("dhl", waybill["tracking_number"])
    assert created.tracking_url is not None
    assert created.waybill in created.tracking_url
    assert created.envelope.causation_id in led_here


async def test_a_waybill_whose_answer_never_came_is_taken_over_when_dhl_cannot_be_at_it_any_more(
    bus: Bus, sandbox: Client, order_id: str
) -> None:
    begun = time.monotonic()
    await paid(bus, an_order_abroad(order_id, postcode="00408"))

    created = await bus.expect(ShipmentCreated, order_id=order_id, timeout=20)

    [waybill] = await at_dhl(sandbox, created.shipment_id)
    assert created.waybill == waybill["tracking_number"]
    # asked at once, it might say that there is none, and make it after that
    assert time.monotonic() - begun > store.lease().total_seconds()


async def test_a_carrier_that_fails_is_asked_again(bus: Bus, sandbox: Client, order_id: str) -> None:
    await paid(bus, an_order_abroad(order_id, postcode="00500"))

    created = await bus.expect(ShipmentCreated, order_id=order_id)

    assert len(await at_dhl(sandbox, created.shipment_id)) == 1


async def test_a_refused_address_fails_with_the_carriers_words_each_time_it_is_released(
    bus: Bus, logistics: Client, sandbox: Client, order_id: str
) -> None:
    await paid(bus, an_order_abroad(order_id, postcode="00422"))
    failed = await bus.expect(ShipmentFailed, order_id=order_id)
    assert "not served by DHL Express" in failed.reason

    await bus.publish(OrderReleased(order_id=order_id, released_by="a clerk"))

    await bus.expect(ShipmentFailed, order_id=order_id, count=2)
    shipment = await of_order(logistics, order_id)
    assert (shipment["state"], shipment["reason"]) == ("failed", failed.reason)
    assert await at_dhl(sandbox, failed.shipment_id) == []


async def test_a_waybill_that_an_older_parcel_has_goes_to_a_person_and_to_nobody_elses_shopper(
    bus: Bus, logistics: Client, sandbox: Client, house: House, order_id: str
) -> None:
    older, newer = f"{order_id}.older", f"{order_id}.newer"
    await paid(bus, an_order_abroad(older))
    pushed = await bus.expect(TrackingPushed, order_id=older)
    following = str(int(pushed.tracking_number) + 1)  # the sandbox counts them
    connection = await asyncpg.connect(house.database_url)
    await connection.execute("UPDATE logistics.shipment SET waybill = $2 WHERE order_id = $1", older, following)
    await connection.close()

    await paid(bus, an_order_abroad(newer))

    failed = await bus.expect(ShipmentFailed, order_id=newer)
    [waybill] = await at_dhl(sandbox, failed.shipment_id)
    assert waybill["tracking_number"] == following
    assert failed.reason == ANOTHERS_WAYBILL.reason
    await bus.publish(OrderReleased(order_id=newer, released_by="a clerk"))
    await bus.expect(ShipmentFailed, order_id=newer, count=2)
    shipments = [await of_order(logistics, each) for each in (older, newer)]
    assert [(each["state"], each["waybill"]) for each in shipments] == [("booked", following), ("failed", None)]
    assert len(await at_dhl(sandbox, failed.shipment_id)) == 1
    assert not bus.all(TrackingPushed, order_id=newer)

    await bus.publish(OrderCancelled(order_id=newer, reason="changed_mind"))
    await bus.expect(ShipmentCancelled, order_id=newer)


async def test_of_two_parcels_that_are_given_one_waybill_at_the_same_moment_one_has_it(
    bus: Bus, sandbox: Client, database: Database, order_id: str
) -> None:
    first, second = f"{order_id}.1", f"{order_id}.2"
    await sandbox.post("/sandbox/faults", json={"partner": "dhl", "error_rate": 1})
    try:
        await paid(bus, an_order_abroad(first), an_order_abroad(second))

        async def are_known() -> bool:
            async with database.transaction() as tx:
                known = await store.lock(tx, [first, second])
            return len(known) == 2 and all(each.state is State.BOOKING for each in known.values())

        await becomes(are_known)
        async with database.transaction() as tx:
            known = await store.lock(tx, [first, second])
            answer = Booked(f"W-{order_id}")
            await jobs.book.record(tx, [(Errand(each, Kind.BOOK, 1, None), answer) for each in known.values()])
            known = await store.lock(tx, [first, second])
    finally:
        await sandbox.delete("/sandbox/faults")

    assert [(each.waybill, each.refused) for each in known.values()] == [
        (answer.waybill, None),
        (None, ANOTHERS_WAYBILL.reason),
    ]


async def test_a_release_of_what_has_not_failed_ships_nothing_twice(bus: Bus, order_id: str) -> None:
    await bus.publish(OrderReleased(order_id=order_id, released_by="a clerk"))
    await paid(bus, an_order_at_home(order_id))
    await bus.expect(ShipmentCreated, order_id=order_id)

    await bus.publish(OrderReleased(order_id=order_id, released_by="a clerk"))
    await bus.publish(OrderReleased(order_id=f"{order_id}.last", released_by="a clerk"))
    await paid(bus, an_order_at_home(f"{order_id}.last"))

    await bus.expect(ShipmentCreated, order_id=f"{order_id}.last")
    assert len(bus.all(ShipmentCreated, order_id=order_id)) == 1


async def test_an_order_that_was_never_paid_has_no_shipments(logistics: Client, order_id: str) -> None:
    assert (await logistics.get("/api/shipments", params={"order_id": order_id})).json() == {"shipments": []}
    assert (await logistics.get("/api/shipments/01890000-0000-7000-8000-000000000000")).status_code == 404
    assert (await logistics.get("/api/shipments")).status_code == 422


async def test_shipments_are_not_shown_without_a_token(logistics: Client, order_id: str) -> None:
    answer = await logistics.get("/api/shipments", params={"order_id": order_id}, headers={"authorization": ""})

    assert answer.status_code == 401


async def test_while_dhl_is_down_parcels_at_home_go_on_and_those_abroad_wait(bus: Bus, sandbox: Client, order_id: str) -> None:
    await sandbox.post("/sandbox/faults", json={"partner": "dhl", "error_rate": 1})
    await paid(bus, an_order_abroad(order_id), a_paid_order(order_id=f"{order_id}.home"))
    await bus.expect(ShipmentCreated, order_id=f"{order_id}.home")
    assert not bus.all(ShipmentCreated, order_id=order_id)

    await sandbox.delete("/sandbox/faults", params={"partner": "dhl"})

    created = await bus.expect(ShipmentCreated, order_id=order_id)
    assert len(await at_dhl(sandbox, created.shipment_id)) == 1
