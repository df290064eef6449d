"""A detour for everything that is announced: the services' queues are taken off the exchange, and what would have gone there
is brought to them one event at a time, when and in which sequence the suite likes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aio_pika
import orjson
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from shared.codec import SINGLE
from shared.origin import EXCHANGE
from tests.faults.servers import queues

QUEUE = "faults.detour"

Delay = Callable[[], float]
"""How long, in seconds, the next event is held back from one of its queues."""


class Detour:
    """Events under way. Nothing is taken off the detour before it has been brought."""

    def __init__(self, channel: AbstractChannel, delay: Delay) -> None:
        self._channel = channel
        self._delay = delay
        self._under_way: set[asyncio.Task[None]] = set()
        self.brought = 0

    async def take(self, message: AbstractIncomingMessage) -> None:
        """Send it on its way, to each queue on its own."""
        decoded = orjson.loads(message.body)
        events = decoded if isinstance(decoded, list) else [decoded]
        targets = [name for name in queues() if name.partition(".")[2] == message.routing_key]
        for event in events:
            for target in targets:
                task = asyncio.create_task(self._bring(event, target))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)

    async def _bring(self, event: object, target: str) -> None:
        await asyncio.sleep(self._delay())
        message = aio_pika.Message(orjson.dumps(event), content_type=SINGLE, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await self._channel.default_exchange.publish(message, target)
        self.brought += 1

    async def is_empty(self) -> None:
        """Returns when everything has been brought."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))


@asynccontextmanager
async def a_detour(url: str, delay: Delay) -> AsyncIterator[Detour]:
    """In the block all events go by it; when this returns each has arrived, some of them twice."""
    async with await aio_pika.connect(url, timeout=10) as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)
        waiting = await channel.declare_queue(QUEUE, durable=True)
        services = [await channel.declare_queue(name, passive=True) for name in queues()]
        detour = Detour(channel, delay)
        await waiting.bind(exchange, "#")
        for queue in services:
            await queue.unbind(exchange, queue.name.partition(".")[2])
        tag = await waiting.consume(detour.take, no_ack=True)
        try:
            yield detour
        finally:
            for queue in services:
                await queue.bind(exchange, queue.name.partition(".")[2])
            await waiting.unbind(exchange, "#")
            while (await channel.declare_queue(QUEUE, passive=True)).declaration_result.message_count:
                await asyncio.sleep(0.05)
            await waiting.cancel(tag)
            await detour.is_empty()
            await channel.queue_delete(QUEUE)
