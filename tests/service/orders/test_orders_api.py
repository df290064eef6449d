"""The API a shop's engineer meets first."""

import asyncio
from typing import Any

import orjson
import pytest

from shared.events.orders import OrderCancelled, OrderCompleted, OrderPlaced, RefundRequested
from shared.events.payments import PaymentCaptured
from shared.events.shipments import ShipmentCreated, ShipmentDelivered, TrackingPushed
from shared.events.stock import StockReserved
from shared.money import Money
from tests.service.house import Bus, Client
from tests.service.orders.asking import a_wish, sell


async def placed(bus: Bus, orders: Client, sku: str, **fields: Any) -> str:
    await sell(bus, orders, sku)
    response = await orders.post("/api/orders", json=a_wish(sku, **fields))
    assert response.status_code == 201, response.text
    return str(response.json()["order_id"])


async def paid(bus: Bus, orders: Client, sku: str) -> str:
    id = await placed(bus, orders, sku)
    await bus.publish(StockReserved(order_id=id, allocations=()), source="/orderbus/inventory")
    captured = PaymentCaptured(
        order_id=id, payment_id="p", channel="invoice", amount=Money(amount=29900, currency="CNY"), reference="r"
    )
    await bus.publish(captured, source="/orderbus/payments")
    await until(orders, id, "paid")
    return id


async def until(orders: Client, id: str, status: str) -> dict[str, Any]:
    while (order := (await orders.get(f"/api/orders/{id}")).json())["status"] != status:
        await asyncio.sleep(0.02)
    return dict(order)


async def test_an_order_is_accepted_at_our_price_and_announced(bus: Bus, orders: Client, sku: str) -> None:
    await sell(bus, orders, sku)

    response = await orders.post("/api/orders", json=a_wish(sku, 2))

    body = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/orders/{body['order_id']}"
    assert body["total"] == {"amount": 59800, "currency": "CNY"}
    assert (await orders.get(response.headers["location"])).json() == body
    assert (await bus.expect(OrderPlaced, order_id=body["order_id"])).total.amount == 59800


async def test_the_same_idempotency_key_gives_the_same_answer_and_one_order(bus: Bus, orders: Client, sku: str) -> None:
    await sell(bus, orders, sku)
    key = {"idempotency-key": sku}

    first, second = [await orders.post("/api/orders", json=a_wish(sku, 3), headers=key) for _ in range(2)]

    assert (second.status_code, second.content) == (201, first.content)
    assert second.headers["location"] == first.headers["location"]


async def test_the_same_idempotency_key_for_another_order_is_refused(bus: Bus, orders: Client, sku: str) -> None:
    await sell(bus, orders, sku)
    key = {"idempotency-key": sku}
    await orders.post("/api/orders", json=a_wish(sku, 1), headers=key)

    response = await orders.post("/api/orders", json=a_wish(sku, 2), headers=key)

    assert response.status_code == 422


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"lines": []}, "body.lines"),
        ({"lines": [{"sku": "A", "quantity": 1}] * 201}, "body.lines"),
        ({"lines": [{"sku": "A", "quantity": 0}]}, "body.lines.0.quantity"),
        ({"currency": "XXQ"}, "body.currency"),
        ({"total": 1}, "body.total"),
        ({"ship_to": {"name": "x", "country": "cn", "city": "x", "line1": "x"}}, "body.ship_to.country"),
        ({"customer": {"name": "x", "phone": "13800000000"}}, "body.customer.phone"),
    ],
)
async def test_a_senseless_order_is_refused_and_the_answer_says_where(orders: Client, change: dict[str, Any], where: str) -> None:
    response = await orders.post("/api/orders", json=a_wish("A") | change)

    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert where in [error["where"] for error in response.json()["errors"]]


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_that_is_not_said_to_be_json_is_refused_by_name(orders: Client, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}

    response = await orders.post("/api/orders", content=orjson.dumps(a_wish("A")), headers=headers)

    assert response.status_code == 415
    assert response.json()["detail"] == f"content-type should be application/json; it is {content_type or 'not given'}"


async def test_what_is_not_json_is_told_where(orders: Client) -> None:
    response = await orders.post("/api/orders", content=b'{"currency": "CNY",', headers={"content-type": "application/json"})

    assert response.status_code == 422
    assert response.json()["detail"].startswith("body: not JSON: ")
    assert response.json()["detail"].endswith("at character 19")


async def test_a_bad_line_is_one_error(orders: Client) -> None:
    response = await orders.post("/api/orders", json=a_wish("A", 0))

    assert [error["where"] for error in response.json()["errors"]] == ["body.lines.0.quantity"]


async def test_a_currency_of_half_a_megabyte_is_not_repeated(orders: Client) -> None:
    response = await orders.post("/api/orders", json=a_wish("A", currency="A" * 500_000))

    assert response.status_code == 422
    assert len(response.content) < 1000


async def test_an_order_of_more_than_an_amount_may_be_is_refused(bus: Bus, orders: Client, sku: str) -> None:
    await sell(bus, orders, sku, price=10**14)

    response = await orders.post("/api/orders", json=a_wish(sku, 11))

    assert (response.status_code, response.json()["reason"]) == (422, "total_too_large")


async def test_an_unknown_article_is_refused_with_its_line(bus: Bus, orders: Client, sku: str) -> None:
    await sell(bus, orders, sku)
    lines = [{"sku": sku, "quantity": 1}, {"sku": "NEVER-SEEN", "quantity": 1}]

    response = await orders.post("/api/orders", json=a_wish(sku, lines=lines))

    assert response.status_code == 422
    assert (response.json()["reason"], response.json()["line"]) == ("unknown_sku", 1)


async def test_an_article_sold_in_another_currency_is_refused_with_its_line(bus: Bus, orders: Client, sku: str) -> None:
    await sell(bus, orders, sku)

    response = await orders.post("/api/orders", json=a_wish(sku, currency="USD"))

    assert (response.json()["reason"], response.json()["line"]) == ("currency_mismatch", 0)


async def test_cancelling_frees_the_order_and_asks_for_the_money_back(bus: Bus, orders: Client, sku: str) -> None:
    id = await paid(bus, orders, sku)

    response = await orders.post(f"/api/orders/{id}/cancel", json={"reason": "changed my mind"})

    assert (response.json()["status"], response.json()["cancelled_because"]) == ("cancelled", "changed my mind")
    await bus.expect(OrderCancelled, order_id=id)
    assert (await bus.expect(RefundRequested, order_id=id)).amount.amount == 29900


async def test_a_shipped_order_is_too_late_to_cancel_but_can_be_refunded_in_part(bus: Bus, orders: Client, sku: str) -> None:
    id = await paid(bus, orders, sku)
    await bus.publish(
        ShipmentCreated(order_id=id, shipment_id="s", carrier="own_fleet", waybill="W1"), source="/orderbus/logistics"
    )
    await until(orders, id, "shipped")

    refused = await orders.post(f"/api/orders/{id}/cancel")
    refund = await orders.post(f"/api/orders/{id}/refunds", json={"amount": 100, "reason": "scratched"})

    assert refused.status_code == 409
    assert "too late" in refused.json()["detail"]
    assert (refund.status_code, refund.json()["state"]) == (201, "requested")
    assert (await bus.expect(RefundRequested, order_id=id)).refund_id == refund.json()["refund_id"]


async def test_a_delivered_order_is_completed_by_itself(bus: Bus, orders: Client, sku: str) -> None:
    id = await paid(bus, orders, sku)
    parcel = {"order_id": id, "shipment_id": "s"}
    at = (await bus.expect(OrderPlaced, order_id=id)).envelope.time

    await bus.publish(ShipmentDelivered(**parcel, at=at), source="/orderbus/logistics")

    await bus.expect(OrderCompleted, order_id=id)
    assert (await until(orders, id, "completed"))["delivered_at"]


async def test_the_timeline_tells_what_every_service_said_and_what_led_to_it(bus: Bus, orders: Client, sku: str) -> None:
    id = await paid(bus, orders, sku)
    pushed = TrackingPushed(order_id=id, shipment_id="s", carrier="c", tracking_number="W1", channel="app")
    await bus.publish(pushed, source="/orderbus/logistics")

    async def told() -> list[dict[str, Any]]:
        return list((await orders.get(f"/api/orders/{id}/timeline")).json()["events"])

    while "tracking.pushed" not in [event["event"] for event in await told()]:
        await asyncio.sleep(0.02)
    events = await told()
    assert {e["event"] for e in events} == {
        "order.placed",
        "stock.reserved",
        "payment.captured",
        "order.paid",
        "tracking.pushed",
    }
    by_event = {e["event"]: e for e in events}
    assert by_event["order.paid"]["caused_by"] in (by_event["payment.captured"]["id"], by_event["stock.reserved"]["id"])
    assert events[0]["ms"] == 0
    assert [e["ms"] for e in events] == sorted(e["ms"] for e in events)


async def test_orders_are_listed_by_status_in_pages(bus: Bus, orders: Client, sku: str) -> None:
    ids = [await placed(bus, orders, f"{sku}-{n}") for n in range(3)]
    for id in ids:
        await orders.post(f"/api/orders/{id}/cancel")

    first = (await orders.get("/api/orders?status=cancelled&page_size=2")).json()
    second = (await orders.get("/api/orders?status=cancelled&page_size=2&page=2")).json()

    assert [order["order_id"] for order in first["orders"] + second["orders"]][:3] == ids[::-1]
    assert first["next_page"] == 2


@pytest.mark.parametrize("path", ["", "/timeline"])
async def test_an_order_nobody_placed_is_not_found(orders: Client, path: str) -> None:
    response = await orders.get(f"/api/orders/NO-SUCH{path}")

    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("token", [None, "", "Bearer x", "Basic x", "Bearer a.b.c"])
async def test_without_a_valid_token_nothing_is_answered(orders: Client, token: str | None) -> None:
    del orders.headers["authorization"]
    headers = {} if token is None else {"authorization": token}

    responses = [
        await orders.get("/api/orders", headers=headers),
        await orders.post("/api/orders", json=a_wish("A"), headers=headers | {"idempotency-key": "k"}),
        await orders.post("/api/events", json={}, headers=headers),
    ]

    assert [response.status_code for response in responses] == [401] * 3


async def test_a_body_of_more_than_a_megabyte_is_refused(orders: Client) -> None:
    response = await orders.post("/api/orders", content=b" " * (1024 * 1024 + 1))

    assert response.status_code == 413


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/api/orders", "GET, HEAD, POST"), ("/api/orders/T-1", "GET, HEAD"), ("/api/orders/T-1/cancel", "POST")],
)
async def test_a_method_that_is_not_for_the_path_is_told_which_are(orders: Client, path: str, allowed: str) -> None:
    response = await orders.put(path)

    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert response.json()["detail"] == f"PUT is not for this path; these are: {allowed}"


async def test_head_is_get_without_the_body(orders: Client) -> None:
    head, get = await orders.head("/api/orders"), await orders.get("/api/orders")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


async def test_the_service_says_how_it_is_and_what_it_speaks(orders: Client) -> None:
    ready, live, metrics, contracts, api = [
        await orders.get(path) for path in ("/health/ready", "/health/live", "/metrics", "/asyncapi.json", "/openapi.json")
    ]

    assert ready.json() == {"postgres": True, "rabbitmq": True}
    assert live.status_code == 200
    assert "orderbus_events_handled_total" in metrics.text
    assert contracts.json()["asyncapi"] == "3.0.0"
    assert "/api/orders" in api.json()["paths"]
