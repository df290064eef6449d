"""Exchanges, queues and bindings, generated from the services' handlers and declared before any service starts, so that
no event is lost because its consumer has not started yet."""

from collections.abc import Iterable

import aio_pika

from shared.bus.broker import DEAD_EXCHANGE, dead_queue_name, queue_arguments, queue_name
from shared.origin import EXCHANGE
from shared.service import Service


async def declare(url: str, services: Iterable[Service]) -> None:
    """Idempotent. Raises aio_pika's ChannelPreconditionFailed when a queue exists with other arguments."""
    async with await aio_pika.connect(url, timeout=10) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
        dead_exchange = await channel.declare_exchange(DEAD_EXCHANGE, aio_pika.ExchangeType.DIRECT, durable=True)
        for service in services:
            name = dead_queue_name(service.name)
            dead = await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
            await dead.bind(dead_exchange, name)
            for event_type in service.handlers:
                queue = await channel.declare_queue(
                    queue_name(service.name, event_type), durable=True, arguments=queue_arguments(service.name)
                )
                await queue.bind(exchange, event_type)


def subscribed_types(services: Iterable[Service]) -> set[str]:
    """What somebody hears: an event of such a type must never be unroutable."""
    return {event_type for service in services for event_type in service.handlers}
