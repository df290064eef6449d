"""Group commit: deliveries that arrive while a transaction runs become the next handler call. What comes alone goes at once;
where batches follow one another so fast that most of the work would be beginning and ending them, each gathers for a moment."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

GATHERING = 0.02
"""Seconds that a batch gathers once there would be more than fifty in a second."""

BURST = 8
"""Batches that may follow at once: what is said of a single order comes in a handful."""


class Batcher(Generic[T]):
    """Joins what is submitted at the same time into one call of `handle`. A batch takes nothing more once it has `limit`
    items; what is submitted is read only then, so that a backlog waits as bytes and not as objects."""

    def __init__(self, handle: Callable[[list[T]], Awaitable[None]], limit: int) -> None:
        self._handle = handle
        self._limit = limit
        self._waiting: deque[tuple[Callable[[], Sequence[T]], asyncio.Future[None]]] = deque()
        self._running: asyncio.Task[None] | None = None
        self._begun: deque[float] = deque(maxlen=BURST)

    async def submit(self, read: Callable[[], Sequence[T]]) -> None:
        """Returns when the items that `read` gives have been handled; raises what `read` raised, or `handle` for the batch
        they were in."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((read, done))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await done

    async def idle(self) -> None:
        """Returns when nothing is in hand."""
        while self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                items, awaited = self._next_batch()
                try:
                    if items:
                        await self._handle(items)
                except BaseException as error:
                    _settle(awaited, error)
                    if not isinstance(error, Exception):
                        raise
                else:
                    _settle(awaited, None)
        finally:
            self._running = None

    async def _gather(self) -> None:
        if len(self._begun) == BURST and time.monotonic() - self._begun[0] < BURST * GATHERING:
            await asyncio.sleep(GATHERING)
        self._begun.append(time.monotonic())

    def _next_batch(self) -> tuple[list[T], list[asyncio.Future[None]]]:
        items: list[T] = []
        awaited: list[asyncio.Future[None]] = []
        while self._waiting and len(items) < self._limit:
            read, done = self._waiting.popleft()
            try:
                items += read()
            except Exception as error:
                _settle([done], error)
            else:
                awaited.append(done)
        return items, awaited


def _settle(awaited: Sequence[asyncio.Future[None]], error: BaseException | None) -> None:
    for done in awaited:
        if not done.done():
            done.set_exception(error) if error else done.set_result(None)
