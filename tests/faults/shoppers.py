"""Hands orders in until they are acknowledged, whatever happens to whoever should acknowledge them."""

import asyncio
import itertools
import random
import time
from collections.abc import Iterable
from contextvars import ContextVar

import aio_pika
import httpx
import orjson
from aio_pika.abc import AbstractConnection, AbstractExchange

from shared.codec import SINGLE
from shared.origin import EXCHANGE
from tests.faults.purchases import OWN_FLEET, Catalogue, Purchase

IMPATIENCE = 4.0
"""Seconds after which a shopper asks another process, under the same key."""

AT_ONCE = 40
"""Requests under way: more would wait for connections, and a client that is busy waiting is a fault of its own."""

UNANSWERED = 150
"""Nobody new comes while so many wait for their answer."""


IN_FAULT: ContextVar[str] = ContextVar("IN_FAULT", default="")
"""The fault during which something is bought."""


class Shoppers:
    """The clients. Their ledger is `made`: every purchase, acknowledged or not yet."""

    def __init__(self, urls: list[str], token: str, rabbitmq_url: str, catalogue: Catalogue, chance: random.Random) -> None:
        self._urls = itertools.cycle(urls)
        self._rabbitmq_url = rabbitmq_url
        self._client = httpx.AsyncClient(
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=IMPATIENCE,
        )
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None
        self._connecting = asyncio.Lock()
        self._under_way: set[asyncio.Task[None]] = set()
        self.catalogue = catalogue
        self.chance = chance
        self.made: list[Purchase] = []
        self.odd_answers: list[str] = []
        """What no client should ever be answered."""
        self.turned_away = 0
        """How many requests were answered that nobody can serve them now."""

    def buy(self, *purchases: Purchase) -> None:
        """Begin to hand them in."""
        self.note(purchases)
        for purchase in purchases:
            task = asyncio.create_task(self._hand_in(purchase))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    def note(self, purchases: Iterable[Purchase]) -> None:
        """In the ledger: they are being handed in."""
        for purchase in purchases:
            purchase.fault = IN_FAULT.get()
            self.made.append(purchase)

    @staticmethod
    def confirm(purchases: Iterable[Purchase]) -> None:
        """What was handed in as an event is the broker's now."""
        for purchase in purchases:
            purchase.order_id, purchase.acknowledged_at = purchase.reference, time.monotonic()

    async def go_on(self, per_second: float, ends: frozenset[str] = frozenset()) -> None:
        """Usual purchases, at random moments, until cancelled."""
        while per_second:
            if len(self._under_way) < UNANSWERED:
                self.buy(self.catalogue.usual(self.chance, ends))
            await asyncio.sleep(self.chance.expovariate(per_second))

    async def acknowledged(self, purchases: Iterable[Purchase], patience: float = 60) -> None:
        """Returns when each has been answered. Raises TimeoutError."""
        waiting = [purchase for purchase in purchases if purchase.acknowledged_at is None]
        async with asyncio.timeout(patience):
            while waiting := [purchase for purchase in waiting if purchase.acknowledged_at is None]:
                await asyncio.sleep(0.02)

    async def sell(self, inventory_url: str, stock: dict[str, int]) -> None:
        """Articles, known to orders too when this returns."""
        for sku, pieces in stock.items():
            product = {"sku": sku, "name": f"商品 {sku}", "price": 299, "currency": "CNY", "stock": pieces}
            headers = {"idempotency-key": f"sell-{sku}"}
            answer = await self._client.post(f"{inventory_url}/api/products", json=product, headers=headers, timeout=30)
            assert answer.status_code == 201, answer.text
        for sku in stock:
            lines = [{"sku": sku, "quantity": 1}, {"sku": "NONE", "quantity": 1}]
            probe = self.catalogue.purchase(OWN_FLEET).body() | {"lines": lines}
            async with asyncio.timeout(30):
                while (await self._client.post(f"{next(self._urls)}/api/orders", json=probe)).json().get("line") != 1:
                    await asyncio.sleep(0.05)

    async def publish(self, body: bytes, routing_key: str, content_type: str = SINGLE, *, to_queue: bool = False) -> None:
        """Until it is confirmed: a lost connection, or no answer, is another try."""
        message = aio_pika.Message(body, content_type=content_type, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        while True:
            reached: AbstractExchange | None = None
            try:
                reached = await self._reach()
                exchange = reached.channel.default_exchange if to_queue else reached  # type: ignore[attr-defined]
                await exchange.publish(message, routing_key, timeout=10)
                return
            except (Exception, asyncio.CancelledError):
                # whatever it was: without a confirm nothing is known, and the same is sent again. A connection that is lost
                # cancels what waits on it; only our own end is one for a shopper
                if _is_to_end():
                    raise
                await self._disconnect(reached)
                await asyncio.sleep(0.2)

    async def close(self) -> None:
        """Leave what is under way."""
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._client.aclose()
        await self._disconnect(self._exchange)

    async def _hand_in(self, purchase: Purchase) -> None:
        if purchase.kind.is_external:
            for _ in range(purchase.kind.copies):
                await self.publish(orjson.dumps(purchase.event()), "order.paid")
            self.confirm([purchase])
        else:
            await asyncio.gather(*(self._place(purchase) for _ in range(purchase.kind.copies)))
            purchase.acknowledged_at = time.monotonic()

    async def _place(self, purchase: Purchase) -> None:
        headers = {"idempotency-key": purchase.reference}
        while True:
            try:
                async with self._turn:
                    answer = await self._client.post(f"{next(self._urls)}/api/orders", json=purchase.body(), headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(0.1)
                continue
            if answer.status_code == 201:
                purchase.order_id = str(answer.json()["order_id"])
                purchase.copies.add(purchase.order_id)
                return
            if answer.status_code == 422 and "refused" in purchase.ends:
                purchase.ended = "refused"
                return
            self.turned_away += answer.status_code == 503
            if answer.status_code >= 500 and answer.status_code != 503:
                self.odd_answers.append(f"POST /api/orders answered {answer.status_code}: {answer.text[:200]}")
            await asyncio.sleep(0.1)

    async def _reach(self) -> AbstractExchange:
        async with self._connecting:
            if self._exchange is None:
                self._connection = await aio_pika.connect(self._rabbitmq_url, timeout=5)
                channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
                self._exchange = await channel.get_exchange(EXCHANGE, ensure=False)
            return self._exchange

    async def _disconnect(self, reached: AbstractExchange | None) -> None:
        """From that one: others may have connected anew by now."""
        async with self._connecting:
            if reached is not self._exchange:
                return
            connection, self._connection, self._exchange = self._connection, None, None
            if connection is not None:
                try:
                    await asyncio.wait_for(connection.close(), 1)
                except (Exception, asyncio.CancelledError):  # it is gone anyhow
                    if _is_to_end():
                        raise


def _is_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
