"""What the mechanism promises: every event takes effect once, or is a dead letter with its reason."""

import asyncio

import asyncpg

from shared import codec
from shared.events.orders import OrderCancelled, OrderPlaced
from shared.events.payments import PaymentRefunded
from shared.events.stock import StockReserved
from shared.money import Money
from tests.builders import a_paid_order
from tests.service.house import Bus, Client, House
from tests.service.orders.asking import sell

ONE_YUAN = Money(amount=100, currency="CNY")


async def letters(house: House, subject: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(house.database_url)
    try:
        return list(await connection.fetch("SELECT * FROM orders.dead_letter WHERE subject = $1", subject))
    finally:
        await connection.close()


async def test_a_poisonous_event_hurts_only_itself(house: House, bus: Bus, orders: Client, order_id: str, sku: str) -> None:
    await sell(bus, orders, sku)
    for suffix in ("a", "b", "c"):
        await bus.publish(a_paid_order(order_id=order_id + suffix, sku=sku), source="/shops/a")
        await bus.expect(OrderPlaced, order_id=order_id + suffix)
    refunds = [
        PaymentRefunded(order_id=order_id + suffix, refund_id="r", amount=ONE_YUAN, reference="x") for suffix in ("a", "c")
    ]
    poison = PaymentRefunded(order_id=order_id + "b", refund_id="r", amount=ONE_YUAN, reference="x")

    await bus.publish(poison, source="/shops/other")
    await bus.publish(*refunds, source="/shops/a")

    while not (buried := await letters(house, order_id + "b")):
        await asyncio.sleep(0.02)
    for suffix in ("a", "c"):
        while (await orders.get(f"/api/orders/{order_id}{suffix}")).json()["refunded"]["amount"] != 100:
            await asyncio.sleep(0.02)
    assert buried[0]["reason"].startswith("NotTheirsToSay: /shops/other cannot refund")
    assert (buried[0]["state"], buried[0]["event_type"]) == ("retrying", "payment.refunded")
    assert buried[0]["next_attempt_at"] > buried[0]["first_failed_at"]


async def test_what_failed_is_tried_again_and_succeeds_once_its_cause_is_gone(
    house: House, bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    early = PaymentRefunded(order_id=order_id, refund_id="r", amount=ONE_YUAN, reference="x")

    await bus.publish(early, source="/orderbus/payments")  # of money that is not known to be there
    while not await letters(house, order_id):
        await asyncio.sleep(0.02)
    await bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/a")

    while (await letters(house, order_id))[0]["state"] != "handled":
        await asyncio.sleep(0.02)
    assert (await orders.get(f"/api/orders/{order_id}")).json()["refunded"]["amount"] == 100


async def test_bytes_that_are_no_event_become_a_dead_letter_that_says_why(house: House, bus: Bus) -> None:
    await bus.publish_bytes(b"\xff\x00 not json", codec.SINGLE, "order.paid")

    connection = await asyncpg.connect(house.database_url)
    while not (found := await connection.fetchrow("SELECT * FROM orders.dead_letter WHERE body = $1", b"\xff\x00 not json")):
        await asyncio.sleep(0.02)
    await connection.close()
    assert found["reason"].startswith("not CloudEvents")
    assert found["state"] == "dead"


async def test_what_a_crash_left_in_the_outbox_is_published(house: House, bus: Bus, order_id: str) -> None:
    body = (
        b'{"specversion":"1.0","id":"left-behind","source":"/orderbus/orders","type":"order.cancelled","subject":"%s",'
        b'"data":{"order_id":"%s","reason":"left behind"}}' % (order_id.encode(), order_id.encode())
    )
    connection = await asyncpg.connect(house.database_url)

    await connection.execute(
        "INSERT INTO orders.outbox VALUES (gen_random_uuid(), 'order.cancelled', $1, now() - interval '1 hour')", body
    )

    await bus.expect(OrderCancelled, order_id=order_id)
    while await connection.fetchval("SELECT count(*) FROM orders.outbox"):
        await asyncio.sleep(0.02)
    await connection.close()


async def test_facts_of_an_order_that_is_not_known_yet_wait_for_it(bus: Bus, orders: Client, order_id: str, sku: str) -> None:
    await sell(bus, orders, sku)
    await bus.publish(StockReserved(order_id=order_id, allocations=()), source="/orderbus/inventory")

    await bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/a")

    while (await orders.get(f"/api/orders/{order_id}")).json().get("status") != "paid":
        await asyncio.sleep(0.02)
