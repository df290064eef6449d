"""A dead letter stays the word of who published it: no retry, replay or edit lets through what was refused for that."""

import asyncio
from typing import Any

import aio_pika
import orjson
import pytest

from deploy.rabbitmq.systems import exchange_of
from deploy.stack.servers import Servers
from services.orders.main import service
from shared import codec
from shared.bus.broker import dead_queue_name
from shared.bus.received import DEATHS, dead_from
from shared.events.orders import OrderPlaced
from shared.origin import EXCHANGE, Origin
from tests.builders import a_paid_order
from tests.service.house import Bus, Client, House, a_vhost
from tests.service.orders.asking import sell
from tests.service.orders.letters import (
    a_refund,
    administrator,
    decide,
    give_up,
    letter_about,
    on_the_wire,
    until_state,
    whole,
)

OTHERS = exchange_of("/shops/other")
REFUSED = "source: /shops/a was published by /shops/other, which may not speak for it"


async def say(house: House, body: bytes, key: str = "order.paid", headers: Any = None) -> None:
    """Publish through another system's exchange, which is bound to ours as `./orderbus systems add` does it."""
    async with await aio_pika.connect(house.rabbitmq_url) as connection:
        channel = await connection.channel()
        theirs = await channel.declare_exchange(OTHERS, "topic", durable=True)
        await (await channel.get_exchange(EXCHANGE)).bind(theirs, key)
        await theirs.publish(aio_pika.Message(body, content_type=codec.SINGLE, headers=headers), key)


async def tried_again(orders: Client, id: str) -> dict[str, Any]:
    """The letter after one more try than now."""
    before = await whole(orders, id)
    assert (await decide(orders, "replay", id)).status_code == 200
    while (letter := await whole(orders, id))["last_failed_at"] == before["last_failed_at"]:
        await asyncio.sleep(0.02)
    return letter


async def test_what_another_shop_published_stays_refused_when_it_is_replayed(
    house: House, bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    await say(house, on_the_wire(a_paid_order(order_id=order_id, sku=sku)))
    letter = await letter_about(orders, order_id)
    assert (letter["reason"], letter["state"]) == (REFUSED, "dead")
    assert (letter["exchange"], letter["routing_key"], letter["queue"]) == (OTHERS, "order.paid", "orders.order.paid")

    again = await tried_again(orders, letter["id"])

    assert (again["reason"], again["state"]) == (REFUSED, "dead")
    assert (await orders.get(f"/api/orders/{order_id}")).status_code == 404


async def test_what_was_published_as_another_type_stays_refused_when_it_is_replayed(
    house: House, orders: Client, order_id: str
) -> None:
    await say(house, on_the_wire(a_refund(order_id), source="/shops/other"), key="order.paid")
    letter = await letter_about(orders, order_id)

    again = await tried_again(orders, letter["id"])

    assert again["reason"] == letter["reason"] == "type: payment.refunded was published as order.paid"


async def test_an_operators_edit_does_not_make_it_another_shops_word(
    house: House, bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    meant = orjson.loads(on_the_wire(a_paid_order(order_id=order_id, sku=sku), source="/shops/a"))
    await say(house, order_id.encode())
    while not (found := [each for each in await junk(orders) if each["body"] == order_id]):
        await asyncio.sleep(0.02)
    id = found[0]["id"]

    refused = await decide(orders, "replay", id, event=meant)
    taken = await decide(orders, "replay", id, event=meant | {"source": "/shops/other"})

    assert (refused.status_code, REFUSED in refused.json()["detail"]) == (422, True)
    assert taken.status_code == 200
    assert (await bus.expect(OrderPlaced, order_id=order_id)).source == "/shops/other"


async def junk(orders: Client) -> list[dict[str, Any]]:
    """What was no event at all."""
    listed = (await orders.get("/api/dead-letters", params={"reason": "not CloudEvents", "page_size": 100})).json()["letters"]
    return [await whole(orders, letter["id"]) for letter in listed]


async def test_what_the_broker_gave_up_on_is_refused_for_who_published_it(
    house: House, bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    await give_up(house, a_paid_order(order_id=order_id, sku=sku), source="/shops/a", published_to=OTHERS)
    letter = await letter_about(orders, order_id)

    again = await tried_again(orders, letter["id"])

    assert again["reason"] == letter["reason"] == REFUSED
    assert (await orders.get(f"/api/orders/{order_id}")).status_code == 404


async def test_a_message_that_tells_of_its_own_death_is_not_believed(house: House, orders: Client, order_id: str) -> None:
    death = {"exchange": EXCHANGE, "routing-keys": ["order.paid"], "queue": "orders.order.paid", "reason": "delivery_limit"}

    await say(house, on_the_wire(a_paid_order(order_id=order_id)), headers={DEATHS: [death]})

    while not (found := [letter for letter in await made_up(orders) if letter["event"]["subject"] == order_id]):
        await asyncio.sleep(0.02)
    assert (found[0]["exchange"], found[0]["state"]) == (OTHERS, "dead")
    assert (await tried_again(orders, found[0]["id"]))["reason"] == REFUSED


async def made_up(orders: Client) -> list[dict[str, Any]]:
    """Whose death the broker knows nothing of."""
    listed = (await orders.get("/api/dead-letters", params={"reason": DEATHS, "page_size": 100})).json()["letters"]
    return [await whole(orders, letter["id"]) for letter in listed]


async def without_origin(house: House, id: str) -> None:
    """As if it had been kept before origins were."""
    await administrator(house, "UPDATE dead_letter SET exchange = NULL, routing_key = NULL, queue = NULL WHERE id = $1", id)


async def test_a_letter_of_before_that_nobody_had_let_in_is_not_tried_and_not_mended(
    house: House, bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    await give_up(house, a_paid_order(order_id=order_id, sku=sku), source="/shops/a")
    readable = (await letter_about(orders, order_id))["id"]
    await say(house, order_id.encode())
    while not (found := [each for each in await junk(orders) if each["body"] == order_id]):
        await asyncio.sleep(0.02)
    for id in (readable, found[0]["id"]):
        await without_origin(house, id)

    again = await tried_again(orders, readable)
    mended = await decide(orders, "replay", found[0]["id"], event=orjson.loads(on_the_wire(a_paid_order(order_id, sku))))

    assert again["reason"].startswith("origin: it is not known who published this")
    assert (mended.status_code, again["state"]) == (409, "dead")
    assert (await orders.get(f"/api/orders/{order_id}")).status_code == 404


async def test_a_letter_of_before_whose_handler_had_raised_had_been_let_in_and_is_tried_on(
    house: House, bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    await bus.publish(a_refund(order_id), source="/orderbus/payments")
    id = (await letter_about(orders, order_id))["id"]
    await without_origin(house, id)

    await bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/a")

    await until_state(orders, id, "handled")


@pytest.mark.parametrize("headers", [{}, {"CC": ["order.submitted"]}, {"BCC": ["order.submitted"]}], ids=["", "CC", "BCC"])
async def test_the_broker_says_of_a_message_it_gives_up_what_it_was_published_with(
    servers: Servers, headers: dict[str, Any]
) -> None:
    async with await aio_pika.connect(await a_vhost(servers, service)) as connection:
        channel = await connection.channel()
        theirs = await channel.declare_exchange(OTHERS, "topic", durable=True)
        await (await channel.get_exchange(EXCHANGE)).bind(theirs, "order.paid")
        await theirs.publish(aio_pika.Message(b"{}", headers=headers), "order.paid")

        message = await (await channel.get_queue("orders.order.paid")).get(timeout=10)
        await message.reject(requeue=False)
        dead = await channel.get_queue(dead_queue_name("orders"))
        while (given_up := await dead.get(fail=False)) is None:
            await asyncio.sleep(0.02)

        assert dead_from(given_up.headers) == Origin(OTHERS, "order.paid", "orders.order.paid")
