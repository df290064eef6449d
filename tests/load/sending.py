"""Hands orders in: as CloudEvents, as fast as the broker confirms them; over HTTP, as fast as they are answered; over HTTP,
each at its own time, whatever became of those before."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from itertools import islice

import aio_pika
import orjson
from aio_pika.abc import AbstractChannel

from shared.codec import BATCH
from tests.load.connections import Connection, Connections, Lost, request
from tests.load.load import Client, Load
from tests.load.purchases import baskets, events

TOGETHER = 50
"""Orders in one message, as in the floor."""

UNCONFIRMED = 8
"""Messages sent ahead of their confirms."""

_ORDER_ID = re.compile(rb'"order_id":"([^"]+)"')


class Sender:
    """`began`: when each order was handed in, or should have been; `answered`: milliseconds until it was, over HTTP."""

    def __init__(self, load: Load, client: Client) -> None:
        self.began: dict[str, float] = {}
        self.answered: list[float] = []
        self.errors: list[str] = []
        self._load = load
        self._client = client
        if load.way == "http":
            self._requests = (self._request(number, body) for number, body in enumerate(_bodies(load)))
        else:
            self._messages = list(_messages(load, client.source))

    async def send(self, channel: AbstractChannel) -> None:
        """All of them."""
        if self._load.way != "http":
            await self._publish(channel)
        elif self._load.rate:
            await self._keep_time()
        else:
            await self._keep_busy()

    async def _publish(self, channel: AbstractChannel) -> None:
        exchange = await channel.get_exchange(self._client.exchange, ensure=False)
        waiting = iter(self._messages)

        async def go_on() -> None:
            for order_ids, body in waiting:
                message = aio_pika.Message(body, content_type=BATCH, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                self.began |= dict.fromkeys(order_ids, time.perf_counter())
                await exchange.publish(message, f"order.{self._load.way}")

        await asyncio.gather(*(go_on() for _ in range(UNCONFIRMED)))

    async def _keep_busy(self) -> None:
        urls, deadline = self._client.orders_urls, time.perf_counter() + self._load.seconds

        async def go_on(number: int) -> None:
            connection = await Connection.to(urls[number % len(urls)])
            for asked in self._requests:
                await self._place(connection, asked, time.perf_counter())
                if self._load.seconds and time.perf_counter() > deadline:
                    break
            connection.close()

        await asyncio.gather(*(go_on(number) for number in range(self._load.connections)))

    async def _keep_time(self) -> None:
        connections = Connections(self._client.orders_urls)
        async with asyncio.TaskGroup() as under_way:
            async for due in at_rate(self._load.rate, self._load.seconds):
                under_way.create_task(self._place(connections, next(self._requests), due))

    async def _place(self, connection: Connection | Connections, asked: bytes, began: float) -> None:
        try:
            status, body = await connection.ask(asked)
        except (Lost, OSError) as error:
            self.errors.append(f"POST /api/orders: {error!r}")
            return
        self.answered.append(1000 * (time.perf_counter() - began))
        if status == 201 and (found := _ORDER_ID.search(body)):
            self.began[found[1].decode()] = began
        else:
            self.errors.append(f"POST /api/orders answered {status}: {body[:200]!r}")

    def _request(self, number: int, body: bytes) -> bytes:
        return request("POST", "/api/orders", self._client.token, body, idempotency_key=f"{self._load.name}-{number}")


async def at_rate(rate: float, seconds: float) -> AsyncIterator[float]:
    """The moments, so many a second, each as it comes, or later when we are: what is late is not left out."""
    started = time.perf_counter()
    for number in range(round(rate * seconds)):
        due = started + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        yield due


def _bodies(load: Load) -> Iterator[bytes]:
    return (orjson.dumps(basket) for basket in islice(baskets(load), load.orders))


def _messages(load: Load, source: str) -> Iterator[tuple[list[str], bytes]]:
    made = events(load, source)
    while together := list(islice(made, TOGETHER)):
        yield [order_id for order_id, _ in together], b"[" + b",".join(event for _, event in together) + b"]"
