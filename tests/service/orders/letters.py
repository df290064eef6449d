"""What an operator asks of a service's dead letters, and what an administrator sees of them."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import aio_pika
import asyncpg
import orjson

from services.orders.settings import settings
from shared import codec
from shared.bus.broker import DEAD_EXCHANGE, dead_queue_name, queue_name
from shared.bus.received import DEATHS
from shared.events import Envelope, Event
from shared.events.payments import PaymentRefunded
from shared.money import Money
from shared.origin import EXCHANGE
from tests.service.house import Bus, Client, House
from tests.service.tokens import bearing

PATH = "/api/dead-letters"


def token(*scopes: str) -> dict[str, str]:
    """The header of an operator called Lin with these scopes only."""
    return bearing(settings(), *scopes, sub="lin.operator")


def a_refund(order_id: str, refund_id: str = "r") -> PaymentRefunded:
    """One yuan back."""
    return PaymentRefunded(order_id=order_id, refund_id=refund_id, amount=Money(amount=100, currency="CNY"), reference="x")


async def listed(orders: Client, **wanted: Any) -> list[dict[str, Any]]:
    """The first hundred letters of a kind."""
    answer = await orders.get(PATH, params={"page_size": 100, **wanted})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["letters"])


async def letter_about(orders: Client, subject: str, **wanted: Any) -> dict[str, Any]:
    """The letter of an order, once there is one."""
    while not (found := [letter for letter in await listed(orders, **wanted) if letter["subject"] == subject]):
        await asyncio.sleep(0.02)
    return found[0]


async def whole(orders: Client, id: str) -> dict[str, Any]:
    """One letter as it is now."""
    answer = await orders.get(f"{PATH}/{id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def until_state(orders: Client, id: str, state: str) -> dict[str, Any]:
    """One letter once it is in this state."""
    while (found := await whole(orders, id))["state"] != state:
        await asyncio.sleep(0.02)
    return found


async def decide(orders: Client, decision: str, *ids: str, why: str = "mended", **wish: Any) -> Any:
    """replay or discard."""
    return await orders.post(f"{PATH}/{decision}", json={"ids": list(ids) or None, "why": why, **wish})


async def administrator(house: House, statement: str, *arguments: Any) -> list[asyncpg.Record]:
    """What only an administrator may do: age a letter, look behind the API."""
    connection = await asyncpg.connect(house.database_url)
    try:
        await connection.execute("SET search_path = orders")
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


async def bury(house: House, id: str) -> None:
    """As if all tries had failed by now."""
    await administrator(house, "UPDATE dead_letter SET state = 'dead', attempts = 6, next_attempt_at = NULL WHERE id = $1", id)


def on_the_wire(event: Event, source: str = "/shops/a") -> bytes:
    """A shop's event as it is published."""
    return codec.encode(event, Envelope(str(uuid4()), source, event.type, event.subject, datetime.now(UTC)))


async def give_up(house: House, *events: Event, source: str, published_to: str = EXCHANGE) -> None:
    """What the broker does with a message that kills whoever takes it. An event's id is given-up- and its subject."""
    now = datetime.now(UTC)
    bodies = [codec.encode(each, Envelope(f"given-up-{each.subject}", source, each.type, each.subject, now)) for each in events]
    body, content_type = codec.join(bodies)
    async with await aio_pika.connect(house.rabbitmq_url) as connection:
        exchange = await (await connection.channel()).get_exchange(DEAD_EXCHANGE)
        type = events[0].type
        death = {"exchange": published_to, "routing-keys": [type], "queue": queue_name("orders", type)}
        headers: dict[str, Any] = {DEATHS: [death]}
        message = aio_pika.Message(body, content_type=content_type, headers=headers)
        await exchange.publish(message, dead_queue_name("orders"))


async def publish_without(bus: Bus, event: Event, missing: str, id: str) -> dict[str, Any]:
    """Publish an event that lacks a field; what it should have been."""
    envelope = Envelope(id, "/shops/a", event.type, event.subject, datetime.now(UTC))
    meant: dict[str, Any] = orjson.loads(codec.encode(event, envelope))
    data = {name: value for name, value in meant["data"].items() if name != missing}
    await bus.publish_bytes(orjson.dumps({**meant, "data": data}), codec.SINGLE, event.type)
    return meant


def subjects(letters: Sequence[dict[str, Any]]) -> list[str]:
    """Which orders they are about, as far as that could be read."""
    return sorted(letter["subject"] for letter in letters if letter["subject"])
