"""Money that goes back: heard early, refused, or all of it before there is a parcel."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.orders.refunding import refund_of_cancellation
from shared.database import Tx
from shared.events.orders import OrderCancelled, OrderHeld, OrderPlaced, RefundRequested, RefundReturned
from shared.events.payments import PaymentCaptured, PaymentRefunded, RefundFailed
from shared.events.shipments import ShipmentInTransit
from shared.events.stock import StockReserved
from shared.money import Money
from tests.builders import a_paid_order
from tests.service.house import Bus, Client
from tests.service.orders.asking import a_wish, sell
from tests.service.orders.letters import listed, subjects

SHOP = "/shops/a"


def given_back(order_id: str, amount: int = 29900, refund_id: str | None = None) -> PaymentRefunded:
    money = Money(amount=amount, currency="CNY")
    return PaymentRefunded(order_id=order_id, refund_id=refund_id or f"{order_id}:own", amount=money, reference="x")


async def paid(bus: Bus, orders: Client, sku: str) -> str:
    await sell(bus, orders, sku)
    id = str((await orders.post("/api/orders", json=a_wish(sku))).json()["order_id"])
    money = Money(amount=29900, currency="CNY")
    await bus.publish(StockReserved(order_id=id, allocations=()), source="/orderbus/inventory")
    await bus.publish(
        PaymentCaptured(order_id=id, payment_id="p", channel="card", amount=money, reference="r"), source="/orderbus/payments"
    )
    await until(orders, id, "paid")
    return id


async def until(orders: Client, id: str, status: str) -> dict[str, Any]:
    while (order := (await orders.get(f"/api/orders/{id}")).json()).get("status") != status:
        await asyncio.sleep(0.02)
    return dict(order)


async def test_what_a_shop_gave_back_before_its_order_was_known_waits_for_it(
    bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    await bus.publish(given_back(f"{order_id}-first", 100), source=SHOP)
    await bus.publish(given_back(order_id, 100), source=SHOP)

    for id in (f"{order_id}-first", order_id):
        await bus.publish(a_paid_order(order_id=id, sku=sku), source=SHOP)
        await bus.expect(OrderPlaced, order_id=id)

    while (await orders.get(f"/api/orders/{order_id}")).json()["refunded"]["amount"] != 100:
        await asyncio.sleep(0.02)
    assert order_id not in subjects(await listed(orders))


async def test_a_stranger_who_speaks_before_the_order_is_known_is_shown_and_not_believed(
    bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    await bus.publish(given_back(order_id), source="/shops/other")
    await bus.expect(PaymentRefunded, order_id=order_id)

    await bus.publish(a_paid_order(order_id=order_id, sku=sku), source=SHOP)

    await bus.expect(OrderPlaced, order_id=order_id)
    while True:
        order = (await orders.get(f"/api/orders/{order_id}")).json()
        letters = await listed(orders, reason="/shops/other cannot refund")  # if it was heard after the order
        if order["held_because"] or order_id in subjects(letters):
            break
    assert (order["refunded"]["amount"], order["refunds"]) == (0, [])


async def test_an_order_whose_money_all_went_back_before_it_had_a_parcel_is_called_off(
    bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    await bus.publish(a_paid_order(order_id=order_id, sku=sku), source=SHOP)
    await bus.expect(OrderPlaced, order_id=order_id)

    await bus.publish(given_back(order_id), source=SHOP)

    assert (await bus.expect(OrderCancelled, order_id=order_id)).reason == "refunded"
    order = await until(orders, order_id, "cancelled")
    assert order["refunded"] == order["captured"]
    assert not bus.all(RefundRequested, order_id=order_id)


async def test_a_refused_refund_of_a_cancelled_order_is_asked_for_again_and_seen_until_it_went(
    bus: Bus, orders: Client, sku: str
) -> None:
    id = await refused(bus, orders, sku)
    held = (await orders.get(f"/api/orders/{id}")).json()

    asked = await orders.post(f"/api/orders/{id}/refunds")
    twice = await orders.post(f"/api/orders/{id}/refunds")
    released = await orders.post(f"/api/orders/{id}/release")

    assert (held["held_because"], held["cancelled_because"]) == (["refund refused: account closed"], "cancelled_by_customer")
    assert [answer.status_code for answer in (asked, twice, released)] == [201, 409, 409]
    request = await bus.expect(RefundRequested, order_id=id, count=2)
    assert (request.refund_id, request.amount.amount) == (asked.json()["refund_id"], 29900)
    await bus.publish(given_back(id, refund_id=request.refund_id), source="/orderbus/payments")
    await until(orders, id, "cancelled")


BY_HAND = {"amount": 29900, "reason": "card closed", "by_hand": "SEPA-1"}


async def refused(bus: Bus, orders: Client, sku: str) -> str:
    """A cancelled order whose money the provider would not send."""
    id = await paid(bus, orders, sku)
    await orders.post(f"/api/orders/{id}/cancel")
    failed = RefundFailed(order_id=id, refund_id=refund_of_cancellation(id), reason="account closed")
    await bus.publish(failed, source="/orderbus/payments")
    await until(orders, id, "held")
    return id


async def test_what_was_given_back_by_hand_is_said_once_however_often_and_at_once_it_is_told(
    bus: Bus, orders: Client, sku: str
) -> None:
    id = await refused(bus, orders, sku)

    said = await asyncio.gather(*(orders.post(f"/api/orders/{id}/refunds", json=BY_HAND) for _ in range(5)))
    other = await orders.post(f"/api/orders/{id}/refunds", json=BY_HAND | {"by_hand": "SEPA-2"})
    asked = await orders.post(f"/api/orders/{id}/refunds")

    assert {answer.status_code for answer in said} == {201}
    assert len({answer.json()["refund_id"] for answer in said}) == 1
    assert (other.status_code, asked.status_code) == (409, 409)
    request = await bus.expect(RefundRequested, order_id=id, by_hand="SEPA-1")
    assert request.asked_by
    assert len(bus.all(RefundRequested, order_id=id, by_hand="SEPA-1")) == 1
    gone = PaymentRefunded(order_id=id, refund_id=request.refund_id, amount=request.amount, reference="SEPA-1")
    await bus.publish(gone, source="/orderbus/payments")
    order = await until(orders, id, "cancelled")
    (told,) = [each for each in order["refunds"] if each["by_hand"]]
    assert (told["by_hand"], told["asked_by"], told["state"]) == ("SEPA-1", request.asked_by, "refunded")
    again = await orders.post(f"/api/orders/{id}/refunds", json=BY_HAND)
    assert (again.status_code, again.json()["refund_id"]) == (201, request.refund_id)
    notes = [event["note"] for event in (await orders.get(f"/api/orders/{id}/timeline")).json()["events"]]
    assert f"299.00 CNY: card closed; given back by hand by {request.asked_by}: SEPA-1" in notes


async def test_that_the_bank_returned_it_is_said_once_however_often_it_is_told(bus: Bus, orders: Client, sku: str) -> None:
    id = await refused(bus, orders, sku)
    refund_id = (await orders.post(f"/api/orders/{id}/refunds", json=BY_HAND)).json()["refund_id"]
    returned = f"/api/orders/{id}/refunds/{refund_id}/returned"
    early = await orders.post(returned, json={"reason": "no such account"})
    request = await bus.expect(RefundRequested, order_id=id, by_hand="SEPA-1")
    gone = PaymentRefunded(order_id=id, refund_id=refund_id, amount=request.amount, reference="SEPA-1")
    await bus.publish(gone, source="/orderbus/payments")
    await until(orders, id, "cancelled")

    said = await asyncio.gather(*(orders.post(returned, json={"reason": "no such account"}) for _ in range(5)))

    assert (early.status_code, {answer.status_code for answer in said}) == (409, {200})
    event = await bus.expect(RefundReturned, order_id=id)
    assert (event.refund_id, event.reference, event.said_by) == (refund_id, "SEPA-1", request.asked_by)
    assert len(bus.all(RefundReturned, order_id=id)) == 1
    failed = RefundFailed(order_id=id, refund_id=refund_id, reason="it was sent as SEPA-1 and came back: no such account")
    await bus.publish(failed, source="/orderbus/payments")
    held = await until(orders, id, "held")
    assert [each["state"] for each in held["refunds"] if each["by_hand"]] == ["failed"]
    unknown, wordless = f"/api/orders/{id}/refunds/hand-9/returned", await orders.post(returned, json={})
    assert (await orders.post(unknown, json={"reason": "x"})).status_code == 404
    assert wordless.status_code == 422


@pytest.mark.parametrize("missing", ["amount", "reason"])
async def test_of_what_was_given_back_by_hand_amount_and_reason_are_said(orders: Client, order_id: str, missing: str) -> None:
    body = {name: value for name, value in BY_HAND.items() if name != missing}

    assert (await orders.post(f"/api/orders/{order_id}/refunds", json=body)).status_code == 422


async def test_nothing_is_given_back_by_hand_while_a_process_of_the_release_before_may_run(
    monkeypatch: pytest.MonkeyPatch, bus: Bus, orders: Client, sku: str
) -> None:
    id = await refused(bus, orders, sku)
    begun, an_hour = Tx.__init__, datetime.now(UTC) + timedelta(hours=1)

    def begin(tx: Tx, *args: Any) -> None:
        begun(tx, *args)
        tx.alone_since = an_hour

    monkeypatch.setattr(Tx, "__init__", begin)
    early = await orders.post(f"/api/orders/{id}/refunds", json=BY_HAND)

    assert early.status_code == 409
    assert f"say from {an_hour:%Y-%m-%d %H:%M} UTC on" in early.json()["detail"]
    monkeypatch.undo()
    assert (await orders.post(f"/api/orders/{id}/refunds", json=BY_HAND)).status_code == 201


async def test_a_parcel_that_had_left_before_the_cancellation_is_seen_until_somebody_has_seen_to_it(
    bus: Bus, orders: Client, sku: str
) -> None:
    id = await paid(bus, orders, sku)
    await orders.post(f"/api/orders/{id}/cancel")
    at = (await bus.expect(OrderPlaced, order_id=id)).envelope.time

    await bus.publish(ShipmentInTransit(order_id=id, shipment_id="s", at=at), source="/orderbus/logistics")

    assert "had left" in (await bus.expect(OrderHeld, order_id=id)).reasons[0]
    assert (await orders.post(f"/api/orders/{id}/release")).json()["status"] == "cancelled"
