"""What a service says on the bus."""

from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractRobustConnection

from shared import tls
from shared.bus import broker
from shared.bus.broker import HEARTBEAT
from shared.origin import EXCHANGE
from shared.settings import Settings

PUBLISH_TIMEOUT = 10
"""Seconds for the broker to confirm a message."""


class Publisher:
    """Publishes persistent, mandatory, confirmed messages on its own connection."""

    def __init__(self, settings: Settings, service: str, must_route: set[str]) -> None:
        self._url = settings.rabbitmq_url.get_secret_value()
        self._tls = tls.of_rabbitmq(settings)
        self._name = f"orderbus-{service}-publisher"
        self._must_route = must_route
        self._connection: AbstractRobustConnection | None = None
        self._exchange: aio_pika.abc.AbstractExchange | None = None

    async def start(self) -> None:
        """Connect. Raises when the broker cannot be reached."""
        self._connection = await aio_pika.connect_robust(
            self._url,
            heartbeat=HEARTBEAT,
            timeout=10,
            client_properties={"connection_name": self._name},
            ssl_context=self._tls,
        )
        channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        self._exchange = await channel.get_exchange(EXCHANGE, ensure=False)

    async def publish(self, event_type: str, body: bytes, content_type: str) -> None:
        """Returns when the broker has the message in every queue it belongs in; raises when it has not, or did not say.
        A type that nobody has subscribed to may go nowhere."""
        assert self._exchange is not None, "publish before start"
        message = aio_pika.Message(
            body,
            content_type=content_type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            # of the attempt, not of the event: returned messages are matched by it
            message_id=str(uuid4()),
        )
        await self._exchange.publish(
            message, routing_key=event_type, mandatory=event_type in self._must_route, timeout=PUBLISH_TIMEOUT
        )

    @property
    def is_connected(self) -> bool:
        """Whether the connection stands."""
        return self._connection is not None and self._connection.connected.is_set()

    async def stop(self) -> None:
        """Close the connection, whether the broker answers or not."""
        if self._connection is not None:
            await broker.close(self._connection)
