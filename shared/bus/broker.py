"""What is asked of RabbitMQ: the queues, and how long it is waited for."""

import asyncio
from contextlib import suppress
from typing import Any

from aio_pika.abc import AbstractRobustConnection

DEAD_EXCHANGE = "orderbus.dead"

HEARTBEAT = 15
"""Seconds; a dead connection is noticed within three of them instead of three minutes at the default."""

CANCELLED_WITHIN = 2
"""Seconds for the broker to answer who leaves. One that is away is not waited for: what is in hand comes back by itself."""

DELIVERY_LIMIT = 10
"""A message that has come back so often kills whoever takes it: it ends as a dead letter."""


async def close(connection: AbstractRobustConnection) -> None:
    """Close it. A broker that does not answer finds out by itself; one that is looked for is looked for no more: aio-pika would
    go on, whoever cancels it, and the process would not end."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CANCELLED_WITHIN):
            await connection.close()


def queue_name(service: str, event_type: str) -> str:
    """Where a service hears events of a type."""
    return f"{service}.{event_type}"


def dead_queue_name(service: str) -> str:
    """Where the broker puts the messages it gave up delivering to a service."""
    return f"{service}.dead"


def queue_arguments(service: str) -> dict[str, Any]:
    """Every default that differs between RabbitMQ 3.10 and 4.x is said."""
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-overflow": "reject-publish",  # at-least-once dead-lettering needs it
        "x-dead-letter-strategy": "at-least-once",
        "x-dead-letter-exchange": DEAD_EXCHANGE,
        "x-dead-letter-routing-key": dead_queue_name(service),
    }
