"""A poisonous event hurts only itself and is kept whole, and what is stuck is seen."""

import asyncio
from uuid import uuid4

import orjson

from shared import codec
from shared.events.orders import OrderPlaced
from tests.builders import a_paid_order
from tests.service.house import Bus, Client, House
from tests.service.orders.asking import sell
from tests.service.orders.letters import a_refund, administrator, letter_about, listed, on_the_wire, subjects, whole


async def test_nobody_waits_for_his_poisonous_neighbours(bus: Bus, orders: Client, order_id: str, sku: str) -> None:
    await sell(bus, orders, sku)
    ids = [f"{order_id}-{n}" for n in range(200)]
    await bus.publish(*(a_paid_order(order_id=id, sku=sku) for id in ids), source="/shops/a")
    for id in ids:
        await bus.expect(OrderPlaced, order_id=id)

    async def publish(id: str) -> None:
        if id in ids[::40]:  # only who took the money can say that it went back: these fail, each time they are tried
            await bus.publish(a_refund(id, "theirs"), source="/shops/other")
        await bus.publish(a_refund(id, "ours"), source="/shops/a")

    await asyncio.gather(*(publish(id) for id in ids))
    for id in ids:
        while [refund["refund_id"] for refund in (await orders.get(f"/api/orders/{id}")).json()["refunds"]] != ["ours"]:
            await asyncio.sleep(0.02)

    while len(found := await listed(orders, reason="/shops/other cannot refund")) < 5:
        await asyncio.sleep(0.02)
    assert subjects(found) == sorted(ids[::40])
    assert {letter["state"] for letter in found} == {"retrying"}


async def test_a_letter_keeps_what_a_newer_version_of_its_sender_says(bus: Bus, orders: Client, order_id: str) -> None:
    sent = orjson.loads(on_the_wire(a_refund(order_id), source="/orderbus/payments")) | {"till": "4"}
    sent["data"] |= {"gift": {"card": True}}

    await bus.publish_bytes(orjson.dumps(sent), codec.SINGLE, "payment.refunded")

    assert (await whole(orders, (await letter_about(orders, order_id))["id"]))["event"] == sent


async def test_a_letter_that_nobody_tries_for_over_a_minute_is_seen_in_the_metrics(house: House, orders: Client) -> None:
    late = """
        INSERT INTO dead_letter (id, body, reason, attempts, state, next_attempt_at, last_failed_at)
        VALUES ($1, '{}', 'x', 2, 'retrying', now() + interval '5 minutes', now() - interval '1 hour')
    """
    await until_stuck(house, orders, "dead_letters", late, "DELETE FROM dead_letter WHERE id = $1")


async def test_an_event_that_is_not_published_for_over_a_minute_is_seen_in_the_metrics(house: House, orders: Client) -> None:
    # no broker takes a routing key of more than 255 bytes
    unspeakable = "INSERT INTO outbox VALUES ($1, repeat('x', 300), '', now() - interval '1 hour')"
    await until_stuck(house, orders, "outbox", unspeakable, "DELETE FROM outbox WHERE id = $1")


async def until_stuck(house: House, orders: Client, where: str, late: str, clear: str) -> None:
    """The metric counts what was made late, and no more once it is cleared."""
    id = uuid4()
    await administrator(house, late, id)
    try:
        while f'orderbus_stuck_events{{where="{where}"}} 1.0' not in (await orders.get("/metrics")).text:
            await asyncio.sleep(0.2)
    finally:
        await administrator(house, clear, id)
    while f'orderbus_stuck_events{{where="{where}"}} 0.0' not in (await orders.get("/metrics")).text:
        await asyncio.sleep(0.2)
