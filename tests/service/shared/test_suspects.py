"""What has come back often may be what kills whoever takes it: a process that starts takes it with nothing else in hand."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel as Channel
from aio_pika.exceptions import DuplicateConsumerTag
from aio_pika.robust_channel import RobustChannel

from services.orders.main import service
from shared.bus.broker import dead_queue_name, queue_name
from shared.bus.consumer import AT_A_TIME, SUSPICIOUS, Consumer
from shared.bus.received import Received
from shared.codec import Decoded
from shared.database import Database, Tx, connect
from shared.events import Event
from shared.events.orders import OrderPaid
from shared.events.payments import PaymentRefunded
from shared.origin import EXCHANGE
from shared.settings import Settings
from shared.subscriptions import Subscriptions
from tests.builders import a_paid_order
from tests.faults.proxy import Link, LostAnswers
from tests.service.house import Bus
from tests.service.orders.letters import a_refund
from tests.service.shared.conftest import behind

QUEUES = [queue_name(service.name, event_class.type) for event_class in (OrderPaid, PaymentRefunded)]


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


async def say(broker: Channel, *events: Event) -> None:
    """Each in a message of its own."""
    await say_together(broker, *([event] for event in events))


async def say_together(broker: Channel, *messages: Sequence[Event]) -> None:
    """All events of a message in one."""
    bus = Bus(broker, await broker.get_exchange(EXCHANGE))
    for events in messages:
        await bus.publish(*events, source="/shops/a")


async def come_back(settings: Settings, broker: Channel, times: int) -> None:
    """As often as this a process takes all there is, and dies."""
    count = await ready(broker)
    for _ in range(times):
        async with await aio_pika.connect(settings.rabbitmq_url.get_secret_value()) as connection:
            channel = await connection.channel()
            for name in QUEUES:
                queue = await channel.get_queue(name)
                while await queue.get(fail=False):
                    pass
            assert await ready(broker) == 0
        while await ready(broker) < count:
            await asyncio.sleep(0.01)


async def ready(broker: Channel) -> int:
    """Messages that nobody has in hand."""
    counts = [(await broker.declare_queue(name, passive=True)).declaration_result.message_count for name in QUEUES]
    return sum(count or 0 for count in counts)


@asynccontextmanager
async def consuming(settings: Settings, handler: Handler) -> AsyncIterator[Consumer]:
    """What a process of orders does from its start on. A handler that is never let go on holds nobody up."""
    pool = await connect(settings, service.name)
    consumer = Consumer(settings, service.name, handler.subscriptions, Database(pool, service.name))
    await consumer.start()
    running = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        running.cancel()
        pool.terminate()


async def test_what_has_come_back_often_is_taken_alone_over_all_queues(
    settings: Settings, broker: Channel, order_id: str, sku: str
) -> None:
    paid = [a_paid_order(order_id=f"{order_id}-{n}", sku=sku) for n in range(4)]
    await say(broker, *paid, a_refund(order_id))
    await come_back(settings, broker, SUSPICIOUS)
    await say(broker, a_paid_order(order_id=f"{order_id}-new", sku=sku))
    handler = Handler()

    async with consuming(settings, handler) as consumer:
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


async def test_who_is_stopped_meanwhile_finishes_the_one_in_hand_and_takes_no_other(
    settings: Settings, broker: Channel, order_id: str, sku: str
) -> None:
    await say(broker, *(a_paid_order(order_id=f"{order_id}-{n}", sku=sku) for n in range(3)))
    await come_back(settings, broker, SUSPICIOUS)
    handler = Handler()

    async with consuming(settings, handler) as consumer:
        await handler.given.get()
        stopping = asyncio.create_task(consumer.stop())
        await asyncio.sleep(0)
        handler.may_go_on.release()
        await stopping

    assert handler.given.empty()
    assert await ready(broker) == 2


async def test_what_has_come_back_seldom_waits_for_nobody(settings: Settings, broker: Channel, order_id: str, sku: str) -> None:
    await say(broker, *(a_paid_order(order_id=f"{order_id}-{n}", sku=sku) for n in range(3)))
    await come_back(settings, broker, SUSPICIOUS - 1)
    handler = Handler()

    async with consuming(settings, handler) as consumer:
        in_hand = [await handler.given.get() for _ in range(3)]
        for _ in in_hand:
            handler.may_go_on.release()
        await consumer.stop()

    assert sorted(in_hand) == [[f"{order_id}-{n}"] for n in range(3)]


async def test_a_message_that_has_come_back_once_is_handled_whole_and_with_no_other(
    settings: Settings, broker: Channel, order_id: str, sku: str
) -> None:
    messages = [[f"{order_id}-{n}-{place}" for place in range(3)] for n in range(2)]
    await say_together(broker, *([a_paid_order(order_id=id, sku=sku) for id in ids] for ids in messages))
    await come_back(settings, broker, 1)
    handler = Handler()

    async with consuming(settings, handler) as consumer:
        given = [await handler.given.get() for _ in messages]
        for _ in messages:
            handler.may_go_on.release()
        await consumer.stop()

    assert sorted(given) == messages
    assert await ready(broker) == 0


async def test_of_a_message_that_has_come_back_again_each_event_is_handled_alone(
    settings: Settings, broker: Channel, order_id: str, sku: str
) -> None:
    ids = [f"{order_id}-{place}" for place in range(3)]
    await say_together(broker, [a_paid_order(order_id=id, sku=sku) for id in ids])
    await come_back(settings, broker, 2)
    handler = Handler()

    async with consuming(settings, handler) as consumer:
        given = []
        for _ in ids:
            given.append(await handler.given.get())
            assert handler.given.empty()
            handler.may_go_on.release()
        await consumer.stop()

    assert sorted(given) == [[id] for id in ids]
    assert await ready(broker) == 0


async def test_of_many_that_have_come_back_few_are_read_at_a_time(
    settings: Settings, broker: Channel, order_id: str, sku: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, reading = AT_A_TIME + 3, 0
    read = Received.read

    def counted(*args: Any) -> Decoded:
        nonlocal reading
        reading += 1
        return read(*args)

    monkeypatch.setattr(Received, "read", counted)
    await say(broker, *(a_paid_order(order_id=f"{order_id}-{n}", sku=sku) for n in range(count)))
    await come_back(settings, broker, 1)
    handler = Handler()

    async with consuming(settings, handler) as consumer:
        for in_hand in range(count):
            await handler.given.get()
            assert reading <= in_hand + AT_A_TIME
            if in_hand >= AT_A_TIME - 1:
                handler.may_go_on.release()
        assert await ready(broker) == 0
        for _ in range(AT_A_TIME - 1):
            handler.may_go_on.release()
        await consumer.stop()

    assert reading == count


async def listeners(broker: Channel) -> list[int | None]:
    """How many listen to each queue."""
    return [(await broker.declare_queue(name, passive=True)).declaration_result.consumer_count for name in QUEUES]


def consuming_of(queue: str) -> bytes:
    """AMQP's basic.consume of it."""
    return bytes((0, 60, 0, 20, 0, 0, len(queue))) + queue.encode()


@pytest.mark.parametrize("seconds_away", [0, 2])
async def test_a_broker_that_is_lost_meanwhile_is_waited_for_and_nothing_is_lost_or_handled_twice(
    settings: Settings, link: Link, broker: Channel, order_id: str, sku: str, seconds_away: int
) -> None:
    address = urlsplit(settings.rabbitmq_url.get_secret_value())
    await say(broker, *(a_paid_order(order_id=f"{order_id}-{n}", sku=sku) for n in range(4)))
    await come_back(settings, broker, SUSPICIOUS)
    handler = Handler()

    async with consuming(behind(link, settings), handler) as consumer:
        given = await handler.given.get()
        if seconds_away:
            link.lead_to(1)  # where nobody listens
        link.cut()
        handler.may_go_on.release()
        await asyncio.sleep(seconds_away)
        link.lead_to(address.port or 5672)
        for others in range(3, 0, -1):
            given += await handler.given.get()
            # the first is handled, and waits to be taken again before or behind them
            assert await ready(broker) in (others - 1, others)
            handler.may_go_on.release()
        while await listeners(broker) != [1, 1]:
            await asyncio.sleep(0.01)
        await say(broker, a_paid_order(order_id=f"{order_id}-new", sku=sku))
        given += await handler.given.get()
        handler.may_go_on.release()
        await consumer.stop()

    assert sorted(given) == [*(f"{order_id}-{n}" for n in range(4)), f"{order_id}-new"]
    assert handler.given.empty()
    assert await ready(broker) == 0


@pytest.mark.parametrize("lost_at", [*QUEUES, dead_queue_name(service.name)])
async def test_who_loses_the_broker_while_he_begins_to_listen_listens_to_each_queue_once(
    settings: Settings, link: Link, broker: Channel, lost_at: str
) -> None:
    tap = link.tap = LostAnswers(consuming_of(lost_at), times=1)

    async with consuming(behind(link, settings), Handler()) as consumer:
        while not all(subscriber.running for subscriber in consumer._broker.subscribers):
            await asyncio.sleep(0.01)
        while await listeners(broker) != [1, 1]:
            await asyncio.sleep(0.01)

        assert tap.struck == 1
        await consumer.stop()

    assert await listeners(broker) == [0, 0]


async def test_who_is_hindered_by_the_librarys_own_finding_again_begins_anew(
    settings: Settings, link: Link, broker: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aio-pika restores what listens. What begins to, while its channel is open and not restored yet, is there twice for it:
    it closes the connection, and says so to whoever waits for an answer just then."""
    restore, last = RobustChannel._on_open, dead_queue_name(service.name)
    is_hindered, is_found_again = asyncio.Event(), asyncio.Event()

    async def restore_slowly(channel: RobustChannel) -> None:
        queues = [queue for queues in channel._queues.values() for queue in queues if queue.name == last]
        async with asyncio.timeout(30):  # nobody may come: then the test fails, and this must end too
            while not is_hindered.is_set() and any(not queue._consumers for queue in queues):
                await asyncio.sleep(0.01)
        try:
            await restore(channel)
        except DuplicateConsumerTag:
            is_hindered.set()
            raise
        if queues and is_hindered.is_set():
            is_found_again.set()

    async def wait_for_an_answer() -> None:
        monkeypatch.setattr(waiting, "start", start)
        raise DuplicateConsumerTag(1)

    monkeypatch.setattr(RobustChannel, "_on_open", restore_slowly)
    link.tap = LostAnswers(consuming_of(last), times=1)

    async with consuming(behind(link, settings), Handler()) as consumer:
        waiting = consumer._broker.subscribers[0]
        start = waiting.start
        monkeypatch.setattr(waiting, "start", wait_for_an_answer)
        async with asyncio.timeout(30):
            await is_found_again.wait()
        while await listeners(broker) != [1, 1] or not all(each.running for each in consumer._broker.subscribers):
            await asyncio.sleep(0.01)

        await consumer.stop()

    assert await listeners(broker) == [0, 0]
