"""What shoppers look at meanwhile: products by a keyword, and their own orders, in turn, each at its own time."""

import asyncio
import itertools
import time
from urllib.parse import quote

from tests.load.connections import Connections, Lost, request
from tests.load.load import Client, Load
from tests.load.sending import at_rate

PATIENCE = 10.0
"""Seconds after which nobody looks at the answer any more."""


class Reader:
    """`took`: milliseconds from the moment when each should have been asked to its answer."""

    def __init__(self, load: Load, client: Client) -> None:
        self.took: dict[str, list[float]] = {"search": [], "order": []} if load.reads else {}
        self.errors: list[str] = []
        self._rate = load.reads
        searches = [request("GET", f"/api/products?keyword={quote(word)}&page=1", client.token) for word in load.keywords]
        orders = [request("GET", f"/api/orders/{order_id}", client.token) for order_id in load.order_ids]
        self._in_turn = itertools.cycle(
            [
                ("search", Connections(client.inventory_urls), itertools.cycle(searches)),
                ("order", Connections(client.orders_urls), itertools.cycle(orders)),
            ]
        )

    async def read(self, seconds: float) -> None:
        """For so long, and until what was asked is answered."""
        async with asyncio.TaskGroup() as under_way:
            async for due in at_rate(self._rate, seconds):
                what, connections, requests = next(self._in_turn)
                under_way.create_task(self._ask(what, connections, next(requests), due))

    async def _ask(self, what: str, connections: Connections, asked: bytes, due: float) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                status, body = await connections.ask(asked)
        except (Lost, OSError, TimeoutError) as error:
            self.errors.append(f"{what}: {error!r}")
        else:
            if status != 200:
                self.errors.append(f"{what} answered {status}: {body[:200]!r}")
        self.took[what].append(round(1000 * (time.perf_counter() - due), 3))
