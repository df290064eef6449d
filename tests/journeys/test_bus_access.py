"""With the credentials of a shop, or of one service, the bus does what these may and refuses everything else."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import asyncpg
import httpx
import pytest
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError

from deploy.rabbitmq import names, systems
from deploy.rabbitmq.management import Management
from deploy.rabbitmq.systems import Refused, System
from deploy.stack import credentials, stack
from deploy.stack.servers import RabbitMQ
from deploy.stack.services import bus_url
from deploy.stack.state import open_folder
from shared import codec
from shared.events import Envelope, Event
from shared.events.payments import PaymentRefunded
from shared.events.stock import StockReleased, StockReserved
from shared.money import Money
from shared.origin import EXCHANGE
from tests.builders import a_paid_order
from tests.journeys.shop import Shop
from tests.plain_http import PLAIN

Deed = Callable[[AbstractChannel, str], Awaitable[Any]]
"""What is tried on a channel; the exchange is the one the user publishes to."""

TAOBAO = System("taobao-42", "/shops/taobao-42", ("order.paid",), ("shipment.*", "tracking.pushed"))


@dataclass(frozen=True)
class Access:
    """A shop that was let in."""

    url: str
    source: str
    exchange: str
    queue: str


@pytest.fixture
async def broker(running: Path) -> AsyncIterator[Management]:
    bus = json.loads((running / stack.FILE).read_text())["rabbitmq"]
    async with Management(bus["management_url"], bus["url"]) as broker:
        yield broker


@pytest.fixture
async def rabbitmq(running: Path) -> RabbitMQ:
    bus = json.loads((running / stack.FILE).read_text())["rabbitmq"]
    return RabbitMQ(bus["url"], bus["management_url"], None)


@pytest.fixture
async def taobao(broker: Management, rabbitmq: RabbitMQ) -> AsyncIterator[Access]:
    """May publish order.paid as /shops/taobao-42, and hear of its parcels."""
    async with let_in(broker, rabbitmq, TAOBAO) as access:
        yield access


@asynccontextmanager
async def let_in(broker: Management, rabbitmq: RabbitMQ, system: System) -> AsyncIterator[Access]:
    password = await systems.add(broker, system)
    assert password
    url = names.user_url(rabbitmq.url, names.system_user(broker.vhost, system.name), password)
    yield Access(url, system.source, systems.exchange_of(system.source), systems.queue_of(system.name))
    await systems.remove(broker, system.name)


@pytest.fixture
def service_url(running: Path, rabbitmq: RabbitMQ) -> Callable[[str], str]:
    """Where a service enters the bus."""
    secrets = credentials.keep(open_folder(running))
    return lambda name: bus_url(rabbitmq, name, secrets.bus_passwords[name])


@asynccontextmanager
async def channel_of(url: str) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(url, timeout=10) as connection:
        yield await connection.channel(publisher_confirms=True, on_return_raises=True)


async def publish(channel: AbstractChannel, exchange: str, event: Event, source: str, key: str = "", **more: Any) -> str:
    """The event's id, once the broker has taken it."""
    envelope = Envelope(str(uuid4()), source, event.type, event.subject, datetime.now(UTC))
    body = codec.encode(event, envelope)
    message = aio_pika.Message(body, content_type=codec.SINGLE, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, **more)
    target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
    await target.publish(message, key or event.type, timeout=10)
    return envelope.id


async def why_dead(shop: Shop, event_id: str, queues: int = 1) -> str:
    """The reason for which orders keeps the event among its dead letters, once it has come out of so many queues."""
    connection = await asyncpg.connect(shop.addresses["postgres"]["superuser_url"])
    try:
        async with asyncio.timeout(10):
            question = "SELECT reason FROM orders.dead_letter WHERE event_id = $1 AND state = 'dead'"
            while len(letters := await connection.fetch(question, event_id)) < queues:
                await asyncio.sleep(0.05)
    finally:
        await connection.close()
    (reason,) = {letter["reason"] for letter in letters}
    return str(reason)


PAID = a_paid_order("T-never")
RESERVED = StockReserved(order_id="T-never", allocations=())


async def queue(channel: AbstractChannel, name: str) -> Any:
    return await channel.get_queue(name, ensure=False)


async def bind(channel: AbstractChannel, key: str) -> None:
    own = await queue(channel, systems.queue_of("taobao-42"))
    await own.bind(EXCHANGE, key)


async def bind_exchange(channel: AbstractChannel, exchange: str) -> None:
    await (await channel.get_exchange(exchange, ensure=False)).bind(EXCHANGE, "#")


NOT_FOR_A_SHOP: dict[str, Deed] = {
    "publish a type that it may not": lambda channel, own: publish(channel, own, RESERVED, "/shops/taobao-42"),
    "publish past its own exchange": lambda channel, own: publish(channel, EXCHANGE, PAID, "/shops/taobao-42"),
    "publish through the default exchange": lambda channel, own: publish(
        channel, "", PAID, "/shops/taobao-42", key="orders.order.paid"
    ),
    "publish to another system's exchange": lambda channel, own: publish(channel, "external./shops/other", PAID, "/shops/other"),
    "publish into the dead letters": lambda channel, own: publish(channel, "orderbus.dead", PAID, "/shops/x", key="orders.dead"),
    "declare an exchange": lambda channel, own: channel.declare_exchange("external.mine", durable=True),
    "declare a queue": lambda channel, own: channel.declare_queue("external.mine", durable=True),
    "declare a queue of the broker's naming": lambda channel, own: channel.declare_queue(exclusive=True),
    "declare a queue that hands its dead on to our exchange": lambda channel, own: channel.declare_queue(
        "external.taobao-42.dlx", arguments={"x-dead-letter-exchange": EXCHANGE, "x-message-ttl": 1}
    ),
    "bind its queue to a type it may not hear": lambda channel, own: bind(channel, "order.placed"),
    "bind its queue to everything": lambda channel, own: bind(channel, "#"),
    "send everything into its own exchange": lambda channel, own: bind_exchange(channel, own),
    "read a service's queue": lambda channel, own: consume(channel, "payments.stock.reserved"),
    "read a service's dead letters": lambda channel, own: consume(channel, "orders.dead"),
    "read another system's queue": lambda channel, own: consume(channel, "external.other"),
    "empty a service's queue": lambda channel, own: purge(channel, "orders.order.paid"),
    "delete a service's queue": lambda channel, own: delete(channel, "orders.order.paid"),
    "delete its own queue": lambda channel, own: delete(channel, "external.taobao-42"),
    "delete our exchange": lambda channel, own: channel.exchange_delete(EXCHANGE),
}

NOT_FOR_PAYMENTS: dict[str, Deed] = {
    "publish another service's type": lambda channel, own: publish(channel, own, RESERVED, "/orderbus/inventory"),
    "publish through the default exchange": lambda channel, own: publish(
        channel, "", RESERVED, "/orderbus/inventory", key="orders.stock.reserved"
    ),
    "publish as a shop": lambda channel, own: publish(channel, "external./shops/taobao-42", PAID, "/shops/taobao-42"),
    "read another service's queue": lambda channel, own: consume(channel, "orders.stock.reserved"),
    "empty another service's queue": lambda channel, own: purge(channel, "orders.stock.reserved"),
    "delete its own queue": lambda channel, own: delete(channel, "payments.stock.reserved"),
    "declare a queue under its own name": lambda channel, own: channel.declare_queue("payments.more", durable=True),
    "declare an exchange": lambda channel, own: channel.declare_exchange("payments.more", durable=True),
}


async def consume(channel: AbstractChannel, name: str) -> None:
    await (await queue(channel, name)).get(fail=False)


async def purge(channel: AbstractChannel, name: str) -> None:
    await (await queue(channel, name)).purge()


async def delete(channel: AbstractChannel, name: str) -> None:
    await (await queue(channel, name)).delete(if_unused=False, if_empty=False)


@pytest.mark.parametrize("deed", NOT_FOR_A_SHOP.values(), ids=NOT_FOR_A_SHOP)
async def test_a_shop_cannot(deed: Deed, taobao: Access) -> None:
    async with channel_of(taobao.url) as channel:
        with pytest.raises(AMQPError, match="ACCESS_REFUSED"):
            await deed(channel, taobao.exchange)


@pytest.mark.parametrize("deed", NOT_FOR_PAYMENTS.values(), ids=NOT_FOR_PAYMENTS)
async def test_payments_own_user_cannot(deed: Deed, service_url: Callable[[str], str], taobao: Access) -> None:
    assert taobao
    async with channel_of(service_url("payments")) as channel:
        with pytest.raises(AMQPError, match="ACCESS_REFUSED"):
            await deed(channel, EXCHANGE)


async def test_a_shop_cannot_enter_another_installation_on_the_same_broker(taobao: Access, broker: Management) -> None:
    with pytest.raises(AMQPError, match=r"refused|NOT_ALLOWED"):
        await aio_pika.connect(taobao.url.replace(broker.vhost, "%2F"), timeout=10)


async def test_a_shop_cannot_read_the_management_api(taobao: Access, broker: Management) -> None:
    user, _, password = taobao.url.partition("://")[2].partition("@")[0].partition(":")
    async with httpx.AsyncClient(
        base_url=f"http://{broker.place}", auth=(user, password), verify=PLAIN, trust_env=False
    ) as client:
        answers = [(await client.get(path)).status_code for path in ("/api/whoami", "/api/queues", "/api/definitions")]

    assert set(answers) == {401}


async def test_a_shop_is_told_of_its_parcels(shop: Shop, taobao: Access, sku: str, order_id: str) -> None:
    await shop.sell(sku)
    async with channel_of(taobao.url) as channel:
        await publish(channel, taobao.exchange, a_paid_order(order_id, sku), taobao.source)
        await shop.pushed(order_id)

        heard: set[str] = set()
        async with asyncio.timeout(10), (await queue(channel, taobao.queue)).iterator() as messages:
            async for message in messages:
                await message.ack()
                heard |= {e.type for e in codec.decode(message.body, message.content_type, {}).events if e.subject}
                if {"shipment.created", "tracking.pushed"} <= heard:
                    break

    assert heard <= {"shipment.created", "tracking.pushed", "shipment.in_transit", "shipment.delivered"}


@pytest.mark.parametrize("source", ["/shops/other", "/orderbus/orders"])
async def test_what_a_shop_says_under_another_name_is_a_dead_letter_and_nothing_happens(
    shop: Shop, taobao: Access, sku: str, order_id: str, source: str
) -> None:
    await shop.sell(sku)
    async with channel_of(taobao.url) as channel:
        event_id = await publish(channel, taobao.exchange, a_paid_order(order_id, sku), source)

    reason = await why_dead(shop, event_id)
    assert reason == f"source: {source} was published by /shops/taobao-42, which may not speak for it"
    assert (await shop.ask(order_id))["status"] == 404


async def test_an_event_of_another_type_than_it_was_published_as_is_a_dead_letter(
    shop: Shop, taobao: Access, sku: str, order_id: str
) -> None:
    async with channel_of(taobao.url) as channel:
        released = StockReleased(order_id=order_id, reason="expired", allocations=())
        event_id = await publish(channel, taobao.exchange, released, taobao.source, key="order.paid")

    assert await why_dead(shop, event_id) == "type: stock.released was published as order.paid"


@pytest.mark.parametrize("header", ["CC", "BCC"])
async def test_a_shop_cannot_reach_other_queues_by_a_copy_whose_key_the_broker_may_not_check(
    shop: Shop, taobao: Access, sku: str, order_id: str, header: str
) -> None:
    await shop.sell(sku)
    async with channel_of(taobao.url) as channel:
        await publish(channel, taobao.exchange, a_paid_order(order_id, sku), taobao.source)
        await shop.pushed(order_id)
        refund = PaymentRefunded(order_id=order_id, refund_id="R-1", amount=Money(amount=29900, currency="CNY"), reference="x")
        headers: dict[str, Any] = {header: ["payment.refunded"]}
        # RabbitMQ 4 checks these keys too; earlier ones deliver, and the event is refused where it arrives
        with contextlib.suppress(AMQPError):
            event_id = await publish(channel, taobao.exchange, refund, taobao.source, key="order.paid", headers=headers)
            reason = await why_dead(shop, event_id, queues=2)
            assert reason == "type: payment.refunded was published as order.paid"

    assert "payment.refunded" not in {each["event"] for each in (await shop.ask(order_id, "/timeline"))["events"]}


async def test_a_shop_that_does_not_read_cannot_hold_up_our_own_publishing(broker: Management, taobao: Access) -> None:
    arguments = (await broker.get("queues", broker.vhost, taobao.queue))["arguments"]

    assert arguments["x-overflow"] == "drop-head"
    assert arguments["x-max-length-bytes"]


async def test_a_shop_that_is_removed_is_out_at_once(broker: Management, rabbitmq: RabbitMQ) -> None:
    brief = System("brief", "/shops/brief", ("order.paid",), ("tracking.pushed",))
    async with let_in(broker, rabbitmq, brief) as access:
        connection = await aio_pika.connect(access.url, timeout=10)
        closed = asyncio.Event()
        connection.close_callbacks.add(lambda *_: closed.set())

    await asyncio.wait_for(closed.wait(), 5)
    with pytest.raises(AMQPError):
        await aio_pika.connect(access.url, timeout=10)
    assert await broker.get("queues", broker.vhost, access.queue) is None
    assert await broker.get("exchanges", broker.vhost, access.exchange) is None
    with pytest.raises(Refused, match="no system called brief"):
        await systems.remove(broker, "brief")


async def test_a_right_taken_away_is_gone_at_once(broker: Management, taobao: Access) -> None:
    async with channel_of(taobao.url) as channel:
        await publish(channel, taobao.exchange, a_paid_order("T-nobody"), "/shops/nobody")
        assert await systems.add(broker, replace(TAOBAO, publishes=(), hears=("tracking.pushed",))) is None
        with pytest.raises((AMQPError, asyncio.CancelledError, RuntimeError)):
            await publish(channel, taobao.exchange, a_paid_order("T-nobody"), "/shops/nobody")

    async with channel_of(taobao.url) as channel:
        with pytest.raises(AMQPError, match="ACCESS_REFUSED"):
            await publish(channel, taobao.exchange, a_paid_order("T-nobody"), "/shops/nobody")
    (known,) = [each for each in await systems.everyone(broker) if each.name == TAOBAO.name]
    assert (known.publishes, known.hears) == ((), ("tracking.pushed",))


async def test_two_systems_never_share_a_source(broker: Management, taobao: Access) -> None:
    with pytest.raises(Refused, match="is taobao-42's"):
        await systems.add(broker, System("copycat", taobao.source, ("order.paid",), ()))
