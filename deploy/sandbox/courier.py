"""Delivers webhooks, again and again, until they are answered with 2xx or too old."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Mapping

import httpx

from deploy.sandbox.pace import Pace

AT_ONCE = 16
"""Attempts in flight. The HTTP client spends more on each request the more connections and waiting requests it has."""

Sign = Callable[[int], Mapping[str, str]]
"""From the unix time of an attempt to the headers that prove it."""


class Courier:
    """Counts what became of every webhook: `delivered`, `abandoned`, or still `pending`."""

    def __init__(self, client: httpx.AsyncClient, pace: Pace) -> None:
        self._client = client
        self._pace = pace
        self._under_way: set[asyncio.Task[None]] = set()
        self._in_flight = asyncio.Semaphore(AT_ONCE)
        self.delivered = 0
        self.abandoned = 0

    @property
    def pending(self) -> int:
        return len(self._under_way)

    def send(self, url: str, body: bytes, sign: Sign) -> asyncio.Event:
        """Start delivering; the event is set when the first attempt has been answered or has failed.

        Nothing is sent to an empty URL.
        """
        attempted = asyncio.Event()
        if not url:
            attempted.set()
            return attempted
        task = asyncio.create_task(self._deliver(url, body, sign, attempted))
        self._under_way.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(self._under_way.discard)
        return attempted

    async def stop(self) -> None:
        """Leave undelivered what is still pending."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _deliver(self, url: str, body: bytes, sign: Sign, attempted: asyncio.Event) -> None:
        born = time.monotonic()
        waits = itertools.chain(self._pace.retries, itertools.repeat(self._pace.retries[-1]))
        for wait in waits:
            answered = await self._attempt(url, body, sign)
            attempted.set()
            if answered:
                self.delivered += 1
                return
            if time.monotonic() - born + wait > self._pace.give_up_after:
                self.abandoned += 1
                return
            # What an outage gathered must not all come back at the same moment.
            await asyncio.sleep(wait * random.uniform(0.9, 1.1))

    async def _attempt(self, url: str, body: bytes, sign: Sign) -> bool:
        async with self._in_flight:
            headers = {"Content-Type": "application/json", **sign(int(time.time()))}
            try:
                return (await self._client.post(url, content=body, headers=headers)).is_success
            except httpx.HTTPError:
                return False
