"""How the orders end, as an external system hears it on its own queue."""

import re
import time
from collections.abc import Container

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

_ORDER = re.compile(rb'"subject":"([^"]+)"')
"""Found among the bytes: parsing each event would cost the machine more than hearing it. All events that end an order
have the order as their subject."""


class Ends:
    """The event with which each order ended, and when: the first, should there be two."""

    def __init__(self) -> None:
        self.heard: dict[str, tuple[str, float]] = {}

    async def listen(self, channel: AbstractChannel, queue: str) -> None:
        """From now on. What is left there of others goes unheard."""
        declared = await channel.get_queue(queue, ensure=False)
        await declared.consume(self.take, no_ack=True)

    async def take(self, message: AbstractIncomingMessage) -> None:
        """Note what it says."""
        now, event_type = time.perf_counter(), message.routing_key or ""
        for order_id in _ORDER.findall(message.body):
            self.heard.setdefault(order_id.decode(), (event_type, now))

    def of(self, order_ids: Container[str]) -> dict[str, tuple[str, float]]:
        """Of these orders."""
        return {order_id: end for order_id, end in self.heard.items() if order_id in order_ids}
