"""What the bus says of the run's orders, heard on a queue of the demo's own, as any other system would hear it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError

from deploy.demo.installation import Trouble
from shared import codec
from shared.events import Event
from shared.events.payments import PaymentCaptured, PaymentRefunded
from shared.origin import EXCHANGE

_FURTHEST = (
    ("order.cancelled", "cancelled"),
    ("order.completed", "completed"),
    ("shipment.delivered", "delivered"),
    ("order.held", "held"),
    ("tracking.pushed", "shipped"),
    ("order.paid", "paid"),
    ("order.placed", "placed"),
    ("order.rejected", "rejected"),
)
"""The event that tells of a status, the furthest first; what was released is on its way again."""


class Watch:
    """Hears every event of our own services, and remembers them by order."""

    def __init__(self) -> None:
        self.events = 0
        self.of_order: dict[str, list[Event]] = defaultdict(list)
        self._ids: set[str] = set()
        self._heard: dict[tuple[str, str], asyncio.Event] = {}

    async def receive(self, message: AbstractIncomingMessage) -> None:
        """Remember a message's events, each once: the bus delivers at least once."""
        decoded = codec.decode(message.body, message.content_type, message.headers, lambda envelope: envelope.is_ours)
        for event in decoded.events:
            self.remember(event)

    def remember(self, event: Event) -> None:
        """Remember one event, unless it is known already, and wake who waits for it."""
        if event.envelope.id in self._ids:
            return
        self._ids.add(event.envelope.id)
        self.events += 1
        order_id = getattr(event, "order_id", None)
        if order_id is not None:
            self.of_order[order_id].append(event)
            self._moment(order_id, event.type).set()

    async def hear(self, order_id: str, *types: str) -> None:
        """Wait until one of these has been said of the order, now or before."""
        moments = [self._moment(order_id, type) for type in types]
        if any(moment.is_set() for moment in moments):
            return
        waiting = [asyncio.ensure_future(moment.wait()) for moment in moments]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    def said(self, order_id: str, type: str) -> list[Event]:
        """The events of this type about the order."""
        return [event for event in self.of_order.get(order_id, ()) if event.type == type]

    def last(self, order_id: str) -> str:
        """The latest of the order's events by its own time, with what it said."""
        events = self.of_order.get(order_id)
        if not events:
            return "nothing"
        event = max(events, key=lambda each: each.envelope.time)
        return f"{event.type} {event.note()}".rstrip()

    def status(self, order_id: str) -> str:
        """Where the order is, as far as has been heard. A rejection is another's who used its id, if it was placed."""
        types = [event.type for event in self.of_order.get(order_id, ())]
        if "payment.refunded" in types and "order.cancelled" not in types and self._is_refunded(order_id):
            return "refunded"
        for type, status in _FURTHEST:
            if type in types and not (type == "order.held" and "order.released" in types):
                return status
        return "sent"

    def _is_refunded(self, order_id: str) -> bool:
        captured = [event.amount.amount for event in self.of_order[order_id] if isinstance(event, PaymentCaptured)]
        refunded = [event.amount.amount for event in self.of_order[order_id] if isinstance(event, PaymentRefunded)]
        return sum(refunded) >= sum(captured)

    def _moment(self, order_id: str, type: str) -> asyncio.Event:
        return self._heard.setdefault((order_id, type), asyncio.Event())


@asynccontextmanager
async def listening(channel: AbstractChannel) -> AsyncIterator[Watch]:
    """A watch that hears everything from now on, on a queue that is gone with the connection."""
    watch = Watch()
    await channel.set_qos(prefetch_count=200)
    queue = await channel.declare_queue(exclusive=True, auto_delete=True)
    await queue.bind(await channel.get_exchange(EXCHANGE, ensure=False), "#")
    tag = await queue.consume(watch.receive, no_ack=True)
    try:
        yield watch
    finally:
        await queue.cancel(tag)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AbstractChannel]:
    """A channel on a connection of its own, as another system's client has one. Raises Trouble."""
    try:
        connection = await aio_pika.connect(url, timeout=10, client_properties={"connection_name": "orderbus-demo"})
    except (AMQPError, OSError, TimeoutError) as error:
        raise Trouble(f"the broker does not answer: {error!r}") from error
    async with connection:
        yield await connection.channel(publisher_confirms=True)
