"""What has come back often may be what kills whoever takes it: a process that starts takes it with nothing else in hand."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import asyncpg
import pytest
from pydantic import SecretStr

from deploy.rabbitmq import topology
from deploy.rabbitmq.management import Management
from deploy.stack.servers import Servers
from services.orders.main import service
from shared.bus import SUSPICIOUS, Consumer, dead_queue_name, queue_name
from shared.database import Database, Tx, speak_json
from shared.events import Event
from shared.events.orders import OrderPaid
from shared.events.payments import PaymentRefunded
from shared.origin import EXCHANGE
from shared.settings import Settings
from shared.subscriptions import Subscriptions
from tests.builders import a_paid_order
from tests.service.house import a_database
from tests.service.orders.letters import a_refund, on_the_wire

QUEUES = [queue_name(service.name, event_class.type) for event_class in (OrderPaid, PaymentRefunded)]


@pytest.fixture
async def database(servers: Servers) -> AsyncIterator[Database]:
    url = await a_database(servers, service.name)
    async with asyncpg.create_pool(url, min_size=1, server_settings={"search_path": service.name}, init=speak_json) as pool:
        yield Database(pool, service.name)


@pytest.fixture
async def url(servers: Servers) -> str:
    """The address of a vhost in which nobody listens to what orders hears."""
    name = f"t_suspects_{uuid4().hex[:8]}"
    url = urlsplit(servers.rabbitmq.url)._replace(path=f"/{name}").geturl()
    management = servers.rabbitmq.management_url
    assert management
    async with Management(management, url) as broker:
        await broker.put("vhosts", name)
        await topology.declare(url, [service])
    return url


@pytest.fixture
async def broker(url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    async with await aio_pika.connect(url) as connection:
        yield await connection.channel()


class Handler:
    """Notes what it is given, and keeps it in hand until it may go on."""

    def __init__(self) -> None:
        self.subscriptions = Subscriptions()
        self.subscriptions.any_of(OrderPaid, PaymentRefunded)(self)
        self.given: asyncio.Queue[list[str]] = asyncio.Queue()
        self.may_go_on = asyncio.Semaphore(0)

    async def __call__(self, events: list[Event], _: Tx) -> None:
        self.given.put_nowait([event.subject for event in events])
        await self.may_go_on.acquire()


async def say(broker: aio_pika.abc.AbstractChannel, *events: Event) -> None:
    exchange = await broker.get_exchange(EXCHANGE)
    for event in events:
        message = aio_pika.Message(on_the_wire(event, source="/shops/a"), content_type="application/cloudevents+json")
        await exchange.publish(message, event.type)


async def come_back(url: str, broker: aio_pika.abc.AbstractChannel, times: int) -> None:
    """As often as this a process takes all there is, and dies."""
    count = await ready(broker)
    for _ in range(times):
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            for name in QUEUES:
                queue = await channel.get_queue(name)
                while await queue.get(fail=False):
                    pass
            assert await ready(broker) == 0
        while await ready(broker) < count:
            await asyncio.sleep(0.01)


async def ready(broker: aio_pika.abc.AbstractChannel) -> int:
    """Messages that nobody has in hand."""
    counts = [(await broker.declare_queue(name, passive=True)).declaration_result.message_count for name in QUEUES]
    return sum(count or 0 for count in counts)


async def consuming(url: str, handler: Handler, database: Database) -> Consumer:
    settings: Any = Settings.model_construct(rabbitmq_url=SecretStr(url), batch_events=500, prefetch=100)
    consumer = Consumer(settings, service.name, handler.subscriptions, database)
    await consumer.start()
    return consumer


async def test_what_has_come_back_often_is_taken_alone_over_all_queues(
    url: str, broker: aio_pika.abc.AbstractChannel, database: Database, order_id: str, sku: str
) -> None:
    paid = [a_paid_order(order_id=f"{order_id}-{n}", sku=sku) for n in range(4)]
    await say(broker, *paid, a_refund(order_id))
    await come_back(url, broker, SUSPICIOUS)
    await say(broker, a_paid_order(order_id=f"{order_id}-new", sku=sku))
    handler = Handler()
    consumer = await consuming(url, handler, database)
    running = asyncio.create_task(consumer.run())

    for others in range(5, 0, -1):
        assert len(await handler.given.get()) == 1
        # of the new one it is not known when it is delivered: it may be in hand beside the last
        assert await ready(broker) in ({others} if others > 1 else {0, 1})
        handler.may_go_on.release()

    assert await handler.given.get() == [f"{order_id}-new"]
    handler.may_go_on.release()
    await consumer.stop()
    assert await ready(broker) == 0
    assert (await broker.declare_queue(dead_queue_name(service.name), passive=True)).declaration_result.message_count == 0
    running.cancel()


async def test_who_is_stopped_meanwhile_finishes_the_one_in_hand_and_takes_no_other(
    url: str, broker: aio_pika.abc.AbstractChannel, database: Database, order_id: str, sku: str
) -> None:
    await say(broker, *(a_paid_order(order_id=f"{order_id}-{n}", sku=sku) for n in range(3)))
    await come_back(url, broker, SUSPICIOUS)
    handler = Handler()
    consumer = await consuming(url, handler, database)
    running = asyncio.create_task(consumer.run())
    await handler.given.get()

    stopping = asyncio.create_task(consumer.stop())
    await asyncio.sleep(0)
    handler.may_go_on.release()
    await stopping

    assert handler.given.empty()
    assert await ready(broker) == 2
    running.cancel()


async def test_what_has_come_back_seldom_waits_for_nobody(
    url: str, broker: aio_pika.abc.AbstractChannel, database: Database, order_id: str, sku: str
) -> None:
    await say(broker, *(a_paid_order(order_id=f"{order_id}-{n}", sku=sku) for n in range(3)))
    await come_back(url, broker, SUSPICIOUS - 1)
    handler = Handler()
    consumer = await consuming(url, handler, database)
    running = asyncio.create_task(consumer.run())

    in_hand = [await handler.given.get() for _ in range(3)]

    assert sorted(in_hand) == [[f"{order_id}-{n}"] for n in range(3)]
    for _ in in_hand:
        handler.may_go_on.release()
    await consumer.stop()
    running.cancel()
