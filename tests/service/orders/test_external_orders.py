"""`order.paid` and `order.submitted` from other systems."""

from shared.events.fields import OrderedLine, PaymentChoice
from shared.events.orders import OrderHeld, OrderPaid, OrderPlaced, OrderRejected, OrderSubmitted
from shared.events.stock import StockReserved
from shared.money import Money
from tests.builders import a_customer, a_paid_order, an_address
from tests.service.house import Bus, Client
from tests.service.orders.asking import sell


async def test_a_paid_order_is_placed_at_the_shops_price_and_paid_once_stock_is_set_aside(
    bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)

    await bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/taobao-42")
    placed = await bus.expect(OrderPlaced, order_id=order_id)
    await bus.publish(StockReserved(order_id=order_id, allocations=()), source="/orderbus/inventory")

    paid = await bus.expect(OrderPaid, order_id=order_id, count=2)
    assert placed.collected_by == "/shops/taobao-42"
    assert paid.envelope.source == "/orderbus/orders"
    assert (await orders.get(f"/api/orders/{order_id}")).json()["status"] == "paid"


async def test_a_paid_order_told_three_times_is_one_order(bus: Bus, orders: Client, order_id: str, sku: str) -> None:
    await sell(bus, orders, sku)
    paid = a_paid_order(order_id=order_id, sku=sku)

    event_id = await bus.publish(paid, source="/shops/taobao-42")
    await bus.publish(paid, source="/shops/taobao-42", id=event_id)
    await bus.publish(paid, source="/shops/taobao-42")
    await bus.publish(StockReserved(order_id=order_id, allocations=()), source="/orderbus/inventory")

    await bus.expect(OrderPaid, order_id=order_id, count=4)
    assert len(bus.all(OrderPlaced, order_id=order_id)) == 1
    assert not bus.all(OrderRejected, order_id=order_id)


async def test_the_same_order_id_from_a_second_source_is_rejected_and_the_first_stands(
    bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    await bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/a")
    await bus.expect(OrderPlaced, order_id=order_id)

    await bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/b")

    rejected = await bus.expect(OrderRejected, order_id=order_id)
    assert (rejected.source, rejected.reason) == ("/shops/b", "order_id_taken")
    assert (await orders.get(f"/api/orders/{order_id}")).json()["source"] == "/shops/a"


async def test_a_total_that_is_not_the_sum_of_its_lines_is_held_until_a_person_releases_it(
    bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)

    await bus.publish(a_paid_order(order_id=order_id, sku=sku, total=1), source="/shops/a")
    held = await bus.expect(OrderHeld, order_id=order_id)

    assert "is not the sum of its lines" in held.reasons[0]
    assert not bus.all(OrderPlaced, order_id=order_id)
    assert (await orders.post(f"/api/orders/{order_id}/release")).status_code == 200
    placed = await bus.expect(OrderPlaced, order_id=order_id)
    assert placed.total == Money(amount=1, currency="CNY")


async def test_an_unknown_sku_is_held_with_its_name(bus: Bus, orders: Client, order_id: str) -> None:
    await bus.publish(a_paid_order(order_id=order_id, sku="NEVER-SEEN"), source="/shops/a")

    held = await bus.expect(OrderHeld, order_id=order_id)

    assert held.reasons == ("unknown SKU: NEVER-SEEN",)
    assert orders


async def test_an_unknown_sku_is_let_in_once_a_person_releases_it(bus: Bus, orders: Client, order_id: str) -> None:
    await bus.publish(a_paid_order(order_id=order_id, sku="SEEN-LATER"), source="/shops/a")
    await bus.expect(OrderHeld, order_id=order_id)

    await orders.post(f"/api/orders/{order_id}/release")

    assert (await bus.expect(OrderPlaced, order_id=order_id)).collected_by == "/shops/a"


def submitted(order_id: str, sku: str) -> OrderSubmitted:
    return OrderSubmitted(
        order_id=order_id,
        currency="CNY",
        customer=a_customer(),
        ship_to=an_address(),
        lines=(OrderedLine(sku=sku, quantity=2),),
        payment=PaymentChoice(channel="invoice"),
    )


async def test_a_submitted_order_is_priced_by_us_and_placed(bus: Bus, orders: Client, order_id: str, sku: str) -> None:
    await sell(bus, orders, sku, price=500)

    await bus.publish(submitted(order_id, sku), source="/erp/1")

    placed = await bus.expect(OrderPlaced, order_id=order_id)
    assert (placed.source, placed.total, placed.collected_by) == ("/erp/1", Money(amount=1000, currency="CNY"), None)


async def test_the_timeline_begins_with_what_another_system_said(bus: Bus, orders: Client, order_id: str, sku: str) -> None:
    await sell(bus, orders, sku, price=500)

    await bus.publish(submitted(order_id, sku), source="/erp/1", id=f"zzz-{order_id}")

    await bus.expect(OrderPlaced, order_id=order_id)
    events = (await orders.get(f"/api/orders/{order_id}/timeline")).json()["events"]
    assert [event["event"] for event in events] == ["order.submitted", "order.placed"]


async def test_a_submitted_order_that_cannot_be_priced_is_rejected_with_the_line(bus: Bus, order_id: str) -> None:
    await bus.publish(submitted(order_id, "NEVER-SEEN"), source="/erp/1")

    rejected = await bus.expect(OrderRejected, order_id=order_id)

    assert (rejected.reason, rejected.detail) == ("unknown_sku", "line 0: there is no SKU NEVER-SEEN on sale")


async def test_nobody_outside_can_speak_as_one_of_our_services_over_http(orders: Client, order_id: str) -> None:
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/orderbus/orders",
        "type": "order.paid",
        "data": a_paid_order(order_id=order_id).model_dump(),
    }

    response = await orders.post("/api/events", json=event, headers={"content-type": "application/cloudevents+json"})

    assert response.status_code == 403


async def test_an_order_paid_elsewhere_may_come_over_http(bus: Bus, orders: Client, order_id: str, sku: str) -> None:
    await sell(bus, orders, sku)
    paid = a_paid_order(order_id=order_id, sku=sku).model_dump()
    event = {"specversion": "1.0", "id": order_id, "source": "/shops/a", "type": "order.paid", "data": paid}

    responses = [
        await orders.post("/api/events", json=[event], headers={"content-type": "application/cloudevents-batch+json"})
        for _ in range(2)
    ]

    assert [(r.status_code, r.json()) for r in responses] == [(202, {"accepted": 1})] * 2
    await bus.expect(OrderPlaced, order_id=order_id)


async def test_a_batch_with_one_wrong_event_is_refused_whole(bus: Bus, orders: Client, order_id: str) -> None:
    good = {
        "specversion": "1.0",
        "id": "1",
        "source": "/shops/a",
        "type": "order.paid",
        "data": a_paid_order(order_id=order_id).model_dump(),
    }

    response = await orders.post(
        "/api/events",
        json=[good, good | {"type": "payment.captured", "id": "2"}, good | {"id": "3", "data": {}}],
        headers={"content-type": "application/cloudevents-batch+json"},
    )

    assert response.status_code == 422
    assert [(error["where"], error["id"]) for error in response.json()["errors"]] == [("1", "2"), ("2", "3")]
    assert response.json()["errors"][0]["what"] == "type: payment.captured is not for other systems to publish"
    assert (await orders.get(f"/api/orders/{order_id}")).status_code == 404
    assert bus


async def test_another_event_in_binary_mode_under_the_same_key_is_another_request(orders: Client, order_id: str) -> None:
    def attributes(id: str) -> dict[str, str]:
        named = {"ce-specversion": "1.0", "ce-type": "order.paid", "ce-source": "/shops/a", "ce-id": id}
        return named | {"content-type": "application/json", "idempotency-key": order_id}

    paid = a_paid_order(order_id=order_id).model_dump(mode="json")

    first, again, other = [await orders.post("/api/events", json=paid, headers=attributes(id)) for id in ("1", "1", "2")]

    assert [response.status_code for response in (first, again, other)] == [202, 202, 422]
    assert "used for another request" in other.json()["detail"]


async def test_what_a_newer_version_of_the_sender_says_beside_goes_on_the_bus_too(
    bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    data = a_paid_order(order_id=order_id, sku=sku).model_dump(mode="json") | {"gift": {"card": True}}
    event = {"specversion": "1.0", "id": order_id, "source": "/shops/a", "type": "order.paid", "data": data, "till": "4"}

    answer = await orders.post("/api/events", json=event, headers={"content-type": "application/cloudevents+json"})

    assert answer.status_code == 202, answer.text
    heard = (await bus.expect(OrderPaid, order_id=order_id)).whole
    assert (heard["data"]["gift"], heard["till"], heard["correlationid"]) == ({"card": True}, "4", order_id)
