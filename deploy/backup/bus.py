"""The bus's part of a backup: what was published and not yet handled is in no table, so it is heard, kept, and said again."""

import asyncio
import base64
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity

from deploy.rabbitmq import topology
from deploy.services import SERVICES
from deploy.stack.state import StackError
from shared.bus.broker import dead_queue_name, queue_name
from shared.origin import EXCHANGE

QUEUES = sorted(
    {queue_name(service.name, type) for service in SERVICES.values() for type in service.handlers}
    | {dead_queue_name(service) for service in SERVICES}
)
"""Where the services hear. Other systems' queues are theirs."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was published: who hears it again has it from the same exchange, so it is still the same one's word."""

    exchange: str
    routing_key: str
    content_type: str | None
    body: str
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: AbstractIncomingMessage) -> Self:
        """The body in base64; of the headers those that CloudEvents' binary mode has."""
        headers = {name: value for name, value in raw.headers.items() if isinstance(value, str)}
        body = base64.b64encode(raw.body).decode()
        return cls(raw.exchange or "", raw.routing_key or "", raw.content_type, body, headers)


async def listen(channel: AbstractChannel) -> AbstractQueue:
    """Hear everything that is published from now on. The queue is gone with its connection."""
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(EXCHANGE, "#")
    return queue


async def until_taken(channel: AbstractChannel, patience: float) -> None:
    """Until each queue was empty once: what was published before has been delivered. Raises StackError after `patience`."""
    full, deadline = set(QUEUES), time.monotonic() + patience
    while full:
        for name in sorted(full):
            if await waiting_in(channel, name) == 0:
                full.discard(name)
        if full and time.monotonic() > deadline:
            where = ", ".join(sorted(full))
            raise StackError(f"nobody takes what waits in {where}: a backup would not have it; ./orderbus up starts its service")
        await asyncio.sleep(0.02)


async def waiting_in(channel: AbstractChannel, name: str) -> int:
    """How many messages nobody was given yet."""
    queue = await channel.declare_queue(name, passive=True)
    return queue.declaration_result.message_count or 0


async def first(queue: AbstractQueue, count: int) -> list[Message]:
    """That many messages, the earliest first."""
    return [Message.of(await queue.get(no_ack=True)) for _ in range(count)]


async def must_be_deserted(rabbitmq_url: str, patience: float = 20) -> None:
    """Raises StackError when a service still listens after `patience`. What is not declared yet has no listener."""
    async with await aio_pika.connect(rabbitmq_url, timeout=10) as connection:
        channel = await connection.channel()
        for name in QUEUES:
            try:
                await _until_deserted(channel, name, patience)
            except ChannelNotFoundEntity:  # the broker closes the channel for it
                channel = await connection.channel()


async def empty(rabbitmq_url: str, patience: float = 20) -> None:
    """Remove what waits for the services, made first where there is no queue yet. They must be stopped. Raises StackError."""
    await topology.declare(rabbitmq_url, SERVICES.values())
    async with await aio_pika.connect(rabbitmq_url, timeout=10) as connection:
        channel = await connection.channel()
        for name in QUEUES:
            await _until_deserted(channel, name, patience)
            await (await channel.get_queue(name, ensure=False)).purge()


async def _until_deserted(channel: AbstractChannel, name: str, patience: float) -> None:
    """What a consumer had in hand is back in the queue once the broker has seen it go."""
    deadline = time.monotonic() + patience
    while (await channel.declare_queue(name, passive=True)).declaration_result.consumer_count:
        if time.monotonic() > deadline:
            raise StackError(f"somebody still listens to {name}: stop every service, then say restore again")
        await asyncio.sleep(0.05)


async def say_again(rabbitmq_url: str, messages: Sequence[Message]) -> None:
    """Publish as it was published. An event that had been handled already is known to the inboxes."""
    async with await aio_pika.connect(rabbitmq_url, timeout=10) as connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=False)
        ours = await channel.get_exchange(EXCHANGE, ensure=False)
        for each in messages:
            exchange = ours
            if each.exchange != EXCHANGE:  # another system's, which may not have been let in at this broker yet
                exchange = await channel.declare_exchange(each.exchange, aio_pika.ExchangeType.TOPIC, durable=True)
                await ours.bind(exchange, each.routing_key)
            message = aio_pika.Message(
                base64.b64decode(each.body),
                content_type=each.content_type,
                headers=dict(each.headers),
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )
            await exchange.publish(message, each.routing_key)


def write(file: Path, messages: Iterable[Message]) -> None:
    """One JSON object a line."""
    file.write_text("".join(json.dumps(asdict(each)) + "\n" for each in messages))


def read(file: Path) -> list[Message]:
    """What `write` wrote."""
    return [Message(**json.loads(line)) for line in file.read_text().splitlines()]
