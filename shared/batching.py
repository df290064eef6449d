"""Group commit: deliveries that arrive while a transaction runs become the next handler call. Nothing waits for a
batch to fill, so an event that comes alone goes at once."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Batcher(Generic[T]):
    """Joins what is submitted at the same time into one call of `handle`. A batch takes nothing more once it has `limit`
    items; what is submitted is read only then, so that a backlog waits as bytes and not as objects."""

    def __init__(self, handle: Callable[[list[T]], Awaitable[None]], limit: int) -> None:
        self._handle = handle
        self._limit = limit
        self._waiting: deque[tuple[Callable[[], Sequence[T]], asyncio.Future[None]]] = deque()
        self._running: asyncio.Task[None] | None = None

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
