"""`order.paid` and `order.submitted` from other systems."""

from shared.events.orders import OrderHeld, OrderPaid, OrderPlaced, OrderRejected
from shared.events.stock import StockReserved
from shared.money import Money
from tests.builders import a_paid_order, a_product_created
from tests.service.house import Bus, Client


async def known(bus: Bus, orders: Client, sku: str) -> None:
    """Orders has the article on its price list."""
    await bus.publish(a_product_created(sku=sku, price=29900), source="/orderbus/inventory")
    wish = {
        "currency": "CNY",
        "customer": {"name": "李雷"},
        "ship_to": {"name": "李雷", "country": "CN", "city": "杭州市", "line1": "文三路 1 号"},
        "lines": [{"sku": sku, "quantity": 1}],
        "payment": {"channel": "invoice"},
    }
    while (await orders.post("/api/orders", json=wish)).status_code == 422:
        pass


async def test_a_paid_order_is_placed_at_the_shops_price_and_paid_once_stock_is_set_aside(
    bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await known(bus, orders, sku)

    await bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/taobao-42")
    placed = await bus.expect(OrderPlaced, order_id=order_id)
    await bus.publish(StockReserved(order_id=order_id, allocations=()), source="/orderbus/inventory")

    paid = await bus.expect(OrderPaid, order_id=order_id, count=2)
    assert placed.collected_by == "/shops/taobao-42"
    assert paid.envelope.source == "/orderbus/orders"
    assert (await orders.get(f"/api/orders/{order_id}")).json()["status"] == "paid"


async def test_a_paid_order_told_three_times_is_one_order(bus: Bus, orders: Client, order_id: str, sku: str) -> None:
    await known(bus, orders, sku)
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
    await known(bus, orders, sku)
    await bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/a")
    await bus.expect(OrderPlaced, order_id=order_id)

    await bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/b")

    rejected = await bus.expect(OrderRejected, order_id=order_id)
    assert (rejected.source, rejected.reason) == ("/shops/b", "order_id_taken")
    assert (await orders.get(f"/api/orders/{order_id}")).json()["source"] == "/shops/a"


async def test_a_total_that_is_not_the_sum_of_its_lines_is_held_until_a_person_releases_it(
    bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await known(bus, orders, sku)

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
