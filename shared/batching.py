"""Group commit: deliveries that arrive while a transaction runs become the next handler call. Nothing waits for a
batch to fill, so an event that comes alone goes at once."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Batcher(Generic[T]):
    """Joins what is submitted at the same time into one call of `handle`, at most `limit` items in it."""

    def __init__(self, handle: Callable[[list[T]], Awaitable[None]], limit: int) -> None:
        self._handle = handle
        self._limit = limit
        self._waiting: deque[tuple[list[T], asyncio.Future[None]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def submit(self, items: list[T]) -> None:
        """Returns when the items have been handled; raises what `handle` raised for the batch they were in."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, done))
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
                batch = self._next_batch()
                try:
                    await self._handle([item for items, _ in batch for item in items])
                except BaseException as error:
                    self._settle(batch, error)
                    if not isinstance(error, Exception):
                        raise
                else:
                    self._settle(batch, None)
        finally:
            self._running = None

    def _next_batch(self) -> list[tuple[list[T], asyncio.Future[None]]]:
        batch: list[tuple[list[T], asyncio.Future[None]]] = []
        size = 0
        while self._waiting and (not batch or size + len(self._waiting[0][0]) <= self._limit):
            items, done = self._waiting.popleft()
            batch.append((items, done))
            size += len(items)
        return batch

    @staticmethod
    def _settle(batch: list[tuple[list[T], asyncio.Future[None]]], error: BaseException | None) -> None:
        for _, done in batch:
            if not done.done():
                done.set_exception(error) if error else done.set_result(None)
