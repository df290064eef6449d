"""What orders do to stock, and what a person may."""

import asyncio

import asyncpg
import pytest

from shared.events.fields import Allocation
from shared.events.orders import OrderCancelled, OrderReleased
from shared.events.shipments import ShipmentCancelled
from shared.events.stock import StockAdjusted, StockDeducted, StockLow, StockRejected, StockReleased, StockReserved
from tests.builders import a_paid_order, a_placed_order
from tests.service.house import Bus, Client, House
from tests.service.inventory.test_catalogue import created


async def available(inventory: Client, sku: str) -> int:
    """What a shopper is shown."""
    products = (await inventory.get("/api/products", params={"keyword": sku})).json()["products"]
    stock: int = next(product["stock"] for product in products if product["sku"] == sku)
    return stock


async def adjusted(inventory: Client, sku: str, quantity: int, **fields: str) -> dict[str, object]:
    wish = {"sku": sku, "quantity": quantity, "reason": "counted", **fields}
    response = await inventory.post("/api/stock/adjustments", json=wish)
    assert response.status_code == 201, response.text
    shelf: dict[str, object] = response.json()
    return shelf


@pytest.fixture(autouse=True)
async def books_balance(house: House) -> object:
    """After every test: the ledger explains every shelf, and what is set aside is what orders hold."""
    yield
    connection = await asyncpg.connect(house.database_url, server_settings={"search_path": "inventory"})
    try:
        assert not await connection.fetch(
            """
            SELECT sku, location, on_hand, reserved, sum(on_hand_change), sum(reserved_change)
              FROM shelf LEFT JOIN movement USING (sku, location) GROUP BY sku, location
            HAVING (on_hand, reserved) <> (coalesce(sum(on_hand_change), 0), coalesce(sum(reserved_change), 0))
            """
        )
        assert not await connection.fetch(
            """
            SELECT sku, location, reserved, held FROM shelf
              FULL JOIN (SELECT a->>'sku' AS sku, a->>'location' AS location, sum((a->>'quantity')::bigint) AS held
                           FROM reservation, jsonb_array_elements(allocations) a WHERE state = 'reserved'
                          GROUP BY 1, 2) orders USING (sku, location)
             WHERE coalesce(reserved, 0) <> coalesce(held, 0)
            """
        )
        assert await connection.fetchval("SELECT count(*) FROM dead_letter") == 0
    finally:
        await connection.close()


async def test_a_paid_orders_stock_is_set_aside_then_deducted(bus: Bus, inventory: Client, order_id: str, sku: str) -> None:
    await created(inventory, sku, stock=10)

    await bus.publish(a_placed_order(order_id, sku, quantity=3))
    reserved = await bus.expect(StockReserved, order_id=order_id)
    shown_meanwhile = await available(inventory, sku)
    await bus.publish(a_paid_order(order_id, sku, quantity=3))
    deducted = await bus.expect(StockDeducted, order_id=order_id)

    assert reserved.allocations == deducted.allocations == (Allocation(sku=sku, location="main", quantity=3),)
    assert reserved.expires_at is not None
    assert shown_meanwhile == await available(inventory, sku) == 7
    assert await adjusted(inventory, sku, 1) == {
        "sku": sku,
        "location": "main",
        "on_hand": 8,
        "reserved": 0,
        "available": 8,
    }


async def test_an_order_for_more_than_there_is_is_rejected_with_what_is_missing(
    bus: Bus, inventory: Client, order_id: str, sku: str
) -> None:
    await created(inventory, sku, stock=2)

    await bus.publish(a_placed_order(order_id, sku, quantity=3))

    rejected = await bus.expect(StockRejected, order_id=order_id)
    assert (rejected.reason, rejected.missing[0].quantity, rejected.paid) == ("out_of_stock", 1, False)
    assert await available(inventory, sku) == 2


async def test_an_order_for_a_sku_that_no_product_has_is_rejected(bus: Bus, inventory: Client, order_id: str, sku: str) -> None:
    await bus.publish(a_placed_order(order_id, sku))

    assert (await bus.expect(StockRejected, order_id=order_id)).reason == "unknown_sku"
    assert inventory


async def test_an_order_that_was_placed_before_its_product_was_deleted_is_served(
    bus: Bus, inventory: Client, order_id: str, sku: str
) -> None:
    product = await created(inventory, sku, stock=1)
    await inventory.delete(f"/api/products/{product['id']}")

    await bus.publish(a_placed_order(order_id, sku))

    await bus.expect(StockReserved, order_id=order_id)


async def test_an_order_is_served_from_the_location_that_holds_it_whole(
    bus: Bus, inventory: Client, order_id: str, sku: str
) -> None:
    await created(inventory, sku, stock=1, location="east")
    await adjusted(inventory, sku, 5, location="west")

    await bus.publish(a_placed_order(order_id, sku, quantity=2))

    reserved = await bus.expect(StockReserved, order_id=order_id)
    assert reserved.allocations == (Allocation(sku=sku, location="west", quantity=2),)


async def test_a_cancelled_orders_pieces_can_be_sold_again_those_of_a_paid_one_once_there_will_be_no_parcel(
    bus: Bus, inventory: Client, order_id: str, sku: str
) -> None:
    await created(inventory, sku, stock=5)
    unpaid, paid = f"{order_id}-1", f"{order_id}-2"
    await bus.publish(a_placed_order(unpaid, sku), a_placed_order(paid, sku))
    await bus.publish(a_paid_order(paid, sku))
    await bus.expect(StockDeducted, order_id=paid)
    await bus.expect(StockReserved, order_id=unpaid)

    await bus.publish(*(OrderCancelled(order_id=each, reason="the shopper asked") for each in (paid, unpaid)))

    assert (await bus.expect(StockReleased, order_id=unpaid)).reason == "cancelled"
    assert await available(inventory, sku) == 4
    await bus.publish(ShipmentCancelled(order_id=paid, shipment_id="s"), source="/orderbus/logistics")
    assert (await bus.expect(StockReleased, order_id=paid)).reason == "cancelled"
    assert await available(inventory, sku) == 5


async def test_an_order_cancelled_before_it_is_known_holds_nothing(
    house: House, bus: Bus, inventory: Client, order_id: str, sku: str
) -> None:
    await created(inventory, sku, stock=5)
    await bus.publish(OrderCancelled(order_id=order_id, reason="the shopper asked"))
    await bus.publish(a_placed_order(order_id, sku, quantity=5))
    await both_are_known(house, order_id)

    await bus.publish(a_paid_order(f"{order_id}-next", sku))

    # whichever of the first two was heard first, nothing is held in the end
    await bus.expect(StockDeducted, order_id=f"{order_id}-next")
    assert not bus.all(StockDeducted, order_id=order_id)


async def test_stock_that_was_not_paid_for_in_time_is_freed_and_taken_again_by_a_late_payment(
    house: House, bus: Bus, inventory: Client, order_id: str, sku: str
) -> None:
    await created(inventory, sku, stock=1)
    await bus.publish(a_placed_order(order_id, sku))
    await bus.expect(StockReserved, order_id=order_id)

    await its_time_runs_out(house, order_id)
    released = await bus.expect(StockReleased, order_id=order_id)
    shown_meanwhile = await available(inventory, sku)
    await bus.publish(a_paid_order(order_id, sku))

    await bus.expect(StockDeducted, order_id=order_id)
    assert (released.reason, shown_meanwhile) == ("expired", 1)
    assert await available(inventory, sku) == 0


async def both_are_known(house: House, order_id: str) -> None:
    """The order and its cancellation have been heard, in whichever sequence."""
    connection = await asyncpg.connect(house.database_url)
    known = "SELECT TRUE FROM inventory.reservation WHERE order_id = $1 AND state = 'cancelled' AND lines <> '[]'"
    async with asyncio.timeout(10):
        while not await connection.fetchval(known, order_id):
            await asyncio.sleep(0.02)
    await connection.close()


async def its_time_runs_out(house: House, order_id: str) -> None:
    """A quarter of an hour passes."""
    connection = await asyncpg.connect(house.database_url)
    await connection.execute("UPDATE inventory.reservation SET expires_at = now() WHERE order_id = $1", order_id)
    await connection.close()


async def test_a_paid_order_that_found_no_stock_is_served_once_a_person_releases_it(
    bus: Bus, inventory: Client, order_id: str, sku: str
) -> None:
    await created(inventory, sku)
    await bus.publish(a_placed_order(order_id, sku, collected_by="/shops/a"))
    assert (await bus.expect(StockRejected, order_id=order_id)).paid

    await adjusted(inventory, sku, 1)
    await bus.publish(OrderReleased(order_id=order_id, released_by="an operator"))
    reserved = await bus.expect(StockReserved, order_id=order_id)
    await bus.publish(a_paid_order(order_id, sku))

    await bus.expect(StockDeducted, order_id=order_id)
    assert reserved.expires_at is None


async def test_a_paid_order_of_another_system_is_left_to_orders(bus: Bus, inventory: Client, order_id: str, sku: str) -> None:
    await created(inventory, sku, stock=1)

    await bus.publish(a_paid_order(order_id, sku), source="/shops/a")
    await bus.publish(a_paid_order(f"{order_id}-ours", sku))

    await bus.expect(StockDeducted, order_id=f"{order_id}-ours")
    assert not bus.all(StockDeducted, order_id=order_id)


async def test_of_orders_that_come_together_the_oldest_gets_the_last_piece(
    bus: Bus, inventory: Client, order_id: str, sku: str
) -> None:
    await created(inventory, sku, stock=1)
    ids = [f"{order_id}-{i}" for i in range(10)]

    await bus.publish(*(a_placed_order(id, sku) for id in ids))

    await bus.expect(StockReserved, order_id=ids[0])
    for id in ids[1:]:
        await bus.expect(StockRejected, order_id=id)


async def test_many_orders_for_a_few_pieces_never_sell_one_that_is_not_there(
    bus: Bus, inventory: Client, order_id: str, sku: str
) -> None:
    await created(inventory, sku, stock=20, low_stock_threshold=3)
    ids = [f"{order_id}-{i}" for i in range(60)]

    await asyncio.gather(
        *(bus.publish(a_placed_order(id, sku)) for id in ids), *(bus.publish(a_paid_order(id, sku)) for id in ids)
    )
    for id in ids:
        await one_of(bus, id)

    assert sum(bool(bus.all(StockDeducted, order_id=id)) for id in ids) == 20
    assert await available(inventory, sku) == 0
    assert len(bus.all(StockLow, sku=sku)) == 1


async def one_of(bus: Bus, order_id: str) -> None:
    """The order's stock is settled, one way or the other, also for who has paid."""
    deducted = asyncio.ensure_future(bus.expect(StockDeducted, order_id=order_id))
    rejected = asyncio.ensure_future(bus.expect(StockRejected, order_id=order_id, paid=True))
    _, pending = await asyncio.wait([deducted, rejected], return_when=asyncio.FIRST_COMPLETED)
    for each in pending:
        each.cancel()


async def test_a_correction_is_announced_with_what_can_be_sold(bus: Bus, inventory: Client, sku: str) -> None:
    await created(inventory, sku, stock=6)

    await adjusted(inventory, sku, -2, reason="broken")

    said = await bus.expect(StockAdjusted, sku=sku)
    assert (said.location, said.quantity, said.available, said.reason) == ("main", -2, 4, "broken")
    low = await bus.expect(StockLow, sku=sku)
    assert (low.available, low.threshold) == (4, 5)


async def test_a_threshold_that_is_raised_above_what_is_there_is_said_once(bus: Bus, inventory: Client, sku: str) -> None:
    product = await created(inventory, sku, stock=8)

    for threshold in (8, 10, 12, 10):
        await inventory.patch(f"/api/products/{product['id']}", json={"low_stock_threshold": threshold})
    await adjusted(inventory, sku, -1)

    await bus.expect(StockAdjusted, sku=sku)
    [low] = bus.all(StockLow, sku=sku)
    assert (low.available, low.threshold) == (8, 10)


async def test_stock_that_is_low_after_a_correction_is_counted(bus: Bus, inventory: Client, sku: str) -> None:
    await created(inventory, sku, stock=6)
    before = await times_low(inventory)

    await adjusted(inventory, sku, -2)

    await bus.expect(StockLow, sku=sku)
    assert await times_low(inventory) == before + 1


async def times_low(inventory: Client) -> float:
    """What Prometheus reads."""
    [line] = [
        each for each in (await inventory.get("/metrics")).text.splitlines() if each.startswith("orderbus_stock_low_total ")
    ]
    return float(line.split()[1])


async def test_pieces_that_are_set_aside_cannot_be_corrected_away(bus: Bus, inventory: Client, order_id: str, sku: str) -> None:
    await created(inventory, sku, stock=3)
    await bus.publish(a_placed_order(order_id, sku, quantity=2))
    await bus.expect(StockReserved, order_id=order_id)

    response = await inventory.post("/api/stock/adjustments", json={"sku": sku, "quantity": -2, "reason": "broken"})

    assert response.status_code == 409
    assert (response.json()["on_hand"], response.json()["reserved"]) == (3, 2)
    assert await available(inventory, sku) == 1


async def test_pieces_that_are_not_there_cannot_be_taken_from_a_new_location(inventory: Client, sku: str) -> None:
    await created(inventory, sku, stock=3)

    wish = {"sku": sku, "quantity": -1, "reason": "broken", "location": "west"}

    assert (await inventory.post("/api/stock/adjustments", json=wish)).status_code == 409


async def test_of_many_corrections_at_once_only_as_many_are_taken_as_there_are_pieces(inventory: Client, sku: str) -> None:
    await created(inventory, sku, stock=5)
    wish = {"sku": sku, "quantity": -1, "reason": "broken"}

    answers = await asyncio.gather(*(inventory.post("/api/stock/adjustments", json=wish) for _ in range(15)))

    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [409] * 10


async def test_a_correction_of_a_sku_that_no_product_has_is_not_found(inventory: Client, sku: str) -> None:
    wish = {"sku": sku, "quantity": 1, "reason": "found"}

    assert (await inventory.post("/api/stock/adjustments", json=wish)).status_code == 404


@pytest.mark.parametrize("wrong", [{"quantity": 0}, {"quantity": 1.5}, {"quantity": 10**10}, {"reason": ""}], ids=str)
async def test_a_correction_that_makes_no_sense_is_refused(inventory: Client, sku: str, wrong: dict[str, object]) -> None:
    response = await inventory.post("/api/stock/adjustments", json={"sku": sku, "quantity": 1, "reason": "found"} | wrong)

    assert response.status_code == 422
