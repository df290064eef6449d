"""How orders are handed in: by the shop's own shoppers over HTTP, by other systems as CloudEvents."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import groupby

import aio_pika
import orjson
from aio_pika.abc import AbstractChannel

from deploy.demo.installation import Installation, Trouble, ask
from deploy.demo.shoppers import Purchase
from deploy.demo.stories import Way
from shared.codec import BATCH, SINGLE
from shared.origin import EXCHANGE

TOGETHER = 10
"""Orders that a system sends as one batch."""

_IN_BATCHES = (Way.PAID_BATCH, Way.PAID_HTTP)


def errands(purchases: Iterable[Purchase]) -> list[list[Purchase]]:
    """What is handed in together: one order by one, save for those that come in batches."""
    made: list[list[Purchase]] = []
    for way, alike in groupby(sorted(purchases, key=_by_way), lambda purchase: purchase.story.way):
        some = list(alike)
        size = TOGETHER if way in _IN_BATCHES else 1
        made += [some[start : start + size] for start in range(0, len(some), size)]
    return sorted(made, key=lambda together: together[0].number)


def _by_way(purchase: Purchase) -> tuple[str, int]:
    return purchase.story.way, purchase.number


class Intake:
    """Where orders are handed in."""

    def __init__(self, shop: Installation, channel: AbstractChannel) -> None:
        self._shop = shop
        self._channel = channel

    async def hand_in(self, together: Sequence[Purchase]) -> list[str]:
        """Send them, each as often as its story says; gives their order ids. Raises Trouble."""
        match together[0].story.way:
            case Way.SHOP:
                return [await self._place(purchase) for purchase in together]
            case Way.PAID_HTTP:
                await self._post(together)
            case _:
                await self._publish(together)
        return [purchase.reference for purchase in together]

    async def _place(self, purchase: Purchase) -> str:
        """The same request again, also at the same time, is the same order."""

        async def once() -> str:
            answer = await ask(self._shop.orders, "POST", "/api/orders", purchase.body, key=purchase.reference)
            return str(answer.json()["order_id"])

        order_ids = set(await asyncio.gather(*(once() for _ in range(purchase.story.copies))))
        if len(order_ids) > 1:
            raise Trouble(f"one Idempotency-Key made several orders: {', '.join(sorted(order_ids))}")
        return order_ids.pop()

    async def _post(self, together: Sequence[Purchase]) -> None:
        body = orjson.dumps([purchase.event() for purchase in together])
        headers = {"content-type": BATCH}
        await ask(self._shop.orders, "POST", "/api/events", content=body, headers=headers, key=together[0].reference)

    async def _publish(self, together: Sequence[Purchase]) -> None:
        events = [purchase.event() for purchase in together]
        body, content_type = (events, BATCH) if len(events) > 1 else (events[0], SINGLE)
        message = aio_pika.Message(orjson.dumps(body), content_type=content_type, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        exchange = await self._channel.get_exchange(EXCHANGE, ensure=False)
        for _ in range(together[0].story.copies):
            await exchange.publish(message, events[0]["type"])
