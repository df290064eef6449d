"""The main job, through all four services."""

import pytest

from shared.events.orders import OrderCompleted
from shared.events.payments import PaymentRefunded
from shared.events.shipments import ShipmentCreated
from shared.events.stock import StockReleased
from tests.builders import a_paid_order
from tests.journeys.shop import Shop

FAR_AWAY = {"country": "DE", "city": "Berlin", "line1": "Torstr. 1", "postcode": "10119", "phone": "+4930123456"}


@pytest.mark.parametrize("channel", ["card", "redirect", "invoice"])
async def test_a_placed_order_ends_with_a_tracking_number(shop: Shop, sku: str, channel: str) -> None:
    await shop.sell(sku, stock=10)

    order_id = await shop.order(sku, 2, channel, None if channel == "invoice" else "tok_ok")

    pushed = await shop.pushed(order_id)
    order = await shop.until(order_id, "shipped")
    assert order["shipment"]["waybill"] == pushed.tracking_number
    assert order["captured"] == order["total"] == {"amount": 59800, "currency": "CNY"}
    assert await shop.stock(sku) == 8
    assert len(await shop.ledger(order_id)) == (0 if channel == "invoice" else 1)


async def test_an_order_paid_elsewhere_is_shipped_once_however_often_it_is_told(shop: Shop, sku: str, order_id: str) -> None:
    await shop.sell(sku, stock=10)
    paid = a_paid_order(order_id=order_id, sku=sku)

    event_id = await shop.bus.publish(paid, source="/shops/taobao-42")
    await shop.bus.publish(paid, source="/shops/taobao-42", id=event_id)
    await shop.bus.publish(paid, source="/shops/taobao-42", id=event_id)

    await shop.pushed(order_id)
    await shop.until(order_id, "shipped")
    assert len(await shop.shipments(order_id)) == 1
    assert len(shop.bus.all(ShipmentCreated, order_id=order_id)) == 1
    assert await shop.stock(sku) == 9


async def test_a_charge_whose_answer_never_came_is_asked_for_and_taken_once(shop: Shop, sku: str) -> None:
    await shop.sell(sku)

    order_id = await shop.order(sku, channel="card", token="tok_timeout_after_charge")

    await shop.pushed(order_id)
    assert [charge["captured"] for charge in await shop.ledger(order_id)] == [29900]


async def test_a_declined_card_cancels_the_order_and_frees_its_stock(shop: Shop, sku: str) -> None:
    await shop.sell(sku, stock=1)

    order_id = await shop.order(sku, channel="card", token="tok_declined")

    assert "generic_decline" in (await shop.until(order_id, "cancelled"))["cancelled_because"]
    await shop.bus.expect(StockReleased, order_id=order_id)
    assert await shop.stock(sku) == 1


async def test_an_order_without_stock_is_cancelled_and_nothing_is_charged(shop: Shop, sku: str) -> None:
    await shop.sell(sku, stock=1)

    order_id = await shop.order(sku, 2, channel="card", token="tok_ok")

    assert (await shop.until(order_id, "cancelled"))["cancelled_because"] == "out_of_stock"
    assert await shop.ledger(order_id) == []


async def test_a_suspicious_payment_waits_for_a_person_and_is_shipped_after_the_release(shop: Shop, sku: str) -> None:
    await shop.sell(sku)
    order_id = await shop.order(sku, channel="card", token="tok_review")
    held = await shop.until(order_id, "held")

    assert held["held_because"]
    assert (await shop.tell(order_id, "release")).status_code == 200

    await shop.pushed(order_id)
    assert [charge["captured"] for charge in await shop.ledger(order_id)] == [29900]


async def test_a_parcel_across_borders_is_followed_to_the_door(shop: Shop, sku: str) -> None:
    await shop.sell(sku)
    order_id = await shop.order(sku, channel="card", token="tok_ok", ship_to=FAR_AWAY)
    pushed = await shop.pushed(order_id)

    await shop.scan(pushed.tracking_number, "transit")
    await shop.scan(pushed.tracking_number, "delivered")

    await shop.bus.expect(OrderCompleted, order_id=order_id, timeout=20)
    assert pushed.carrier == "dhl"
    assert (await shop.until(order_id, "completed"))["delivered_at"]


async def test_a_shopper_who_never_pays_and_cancels_owes_nothing(shop: Shop, sku: str) -> None:
    await shop.sell(sku, stock=1)
    order_id = await shop.order(sku, channel="redirect", token="tok_manual")

    assert (await shop.tell(order_id, "cancel", reason="changed my mind")).status_code == 200

    await shop.bus.expect(StockReleased, order_id=order_id)
    assert (await shop.until(order_id, "cancelled"))["captured"]["amount"] == 0
    assert await shop.stock(sku) == 1


async def test_part_of_a_shipped_order_is_refunded(shop: Shop, sku: str) -> None:
    await shop.sell(sku)
    order_id = await shop.order(sku, channel="card", token="tok_ok")
    await shop.pushed(order_id)
    await shop.until(order_id, "shipped")

    refund = (await shop.tell(order_id, "refunds", amount=900, reason="scratched")).json()

    await shop.bus.expect(PaymentRefunded, refund_id=refund["refund_id"])
    assert [charge["refunded"] for charge in await shop.ledger(order_id)] == [900]


async def test_stock_that_is_not_there_is_not_sold_however_many_want_it(shop: Shop, sku: str) -> None:
    await shop.sell(sku, stock=5)

    ids = [await shop.order(sku) for _ in range(12)]

    ended = [(await shop.until(id, "shipped", "cancelled"))["status"] for id in ids]
    assert sorted(ended) == ["cancelled"] * 7 + ["shipped"] * 5
    assert await shop.stock(sku) == 0


async def test_one_order_is_one_trace_across_the_services(shop: Shop, sku: str) -> None:
    await shop.sell(sku)
    order_id = await shop.order(sku, channel="card", token="tok_ok")
    await shop.pushed(order_id)
    await shop.until(order_id, "shipped")

    events = (await shop.ask(order_id, "/timeline"))["events"]

    said = {event["event"]: event for event in events}
    assert {"order.placed", "stock.reserved", "payment.captured", "order.paid", "shipment.created"} <= said.keys()
    assert len({event["trace_id"] for event in events}) == 1
    assert said["stock.reserved"]["caused_by"] == said["order.placed"]["id"]


async def test_the_catalogue_answers_in_the_agreed_shape_without_a_token(shop: Shop, sku: str) -> None:
    await shop.sell(sku, stock=150)
    del shop.client.headers["authorization"]

    response = await shop.client.get(f"{shop.url('inventory')}/api/products", params={"keyword": sku, "page": 1})

    (product,) = response.json()["products"]
    assert {"id", "name", "price", "stock", "sku", "currency"} <= product.keys()
    assert (product["price"], product["stock"]) == (299, 150)
