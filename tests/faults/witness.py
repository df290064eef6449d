"""Another system's ear: a durable queue of its own, on which everything that is announced stays until it is taken."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aio_pika
import orjson
from aio_pika.abc import AbstractIncomingMessage

from shared.origin import EXCHANGE

QUEUE = "faults.witness"


@dataclass(frozen=True, slots=True)
class Heard:
    """One message as it was on the wire."""

    body: bytes
    content_type: str
    event_type: str


class Witness:
    """What was said of each order. The same event twice is once: a second one has another id."""

    def __init__(self) -> None:
        self._said: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self.messages: list[Heard] = []

    def said(self, order_id: str, event_type: str) -> int:
        """How many different events of the type."""
        return len(self._said.get((order_id, event_type), ()))

    def take(self, message: AbstractIncomingMessage) -> None:
        """Note what it says."""
        heard = Heard(message.body, message.content_type or "", message.routing_key or "")
        self.messages.append(heard)
        try:
            events = orjson.loads(heard.body)
        except orjson.JSONDecodeError:
            return  # the suite itself sends such
        for event in events if isinstance(events, list) else [events]:
            if isinstance(event, dict) and isinstance(event.get("data"), dict):
                order_id = event["data"].get("order_id") or event.get("subject")
                self._said[str(order_id), str(event.get("type"))].add(str(event.get("id")))


@asynccontextmanager
async def a_witness(url: str) -> AsyncIterator[Witness]:
    """It listens in the block, and comes back whenever the broker does."""
    witness = Witness()
    async with await aio_pika.connect(url, timeout=10) as connection:
        channel = await connection.channel()
        # a quorum queue is lost if the broker is killed within a second or two of declaring it (3.10), and then nothing that is
        # routed to it is ever confirmed
        queue = await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "classic"})
        await queue.bind(EXCHANGE, "#")
    task = asyncio.create_task(_listen(url, witness))
    try:
        yield witness
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _listen(url: str, witness: Witness) -> None:
    while True:
        try:
            async with await aio_pika.connect(url, timeout=5, heartbeat=10) as connection:
                channel = await connection.channel()
                await channel.set_qos(prefetch_count=200)
                queue = await channel.declare_queue(QUEUE, passive=True)
                async with queue.iterator() as messages:
                    async for message in messages:
                        witness.take(message)
                        await message.ack()
        except Exception:  # the broker is being tormented: what is not acknowledged comes again
            await asyncio.sleep(0.3)
