"""Group commit: what arrives while a transaction runs becomes the next handler call. What comes alone goes at once or, if nobody
waits for it, with what comes next. Where orders come in, and come fast, each batch gathers for a moment: what is begun
together travels on together, in one message from service to service, and the others need not gather again."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

GATHERING = 0.08
"""Seconds that a batch gathers, at most, where so much comes in."""

QUIET = 0.02
"""Seconds without anything new: whoever is coming has come."""

GLANCE = 0.002
"""Seconds between two looks at what has gathered."""

PATIENCE = 0.1
"""Seconds that what is patient waits, at most, for something that is not."""

FAST = 8, 0.16
"""So many within so many seconds are fast: fifty a second, and more than the handful that one order is."""


@dataclass(frozen=True, slots=True)
class _Submitted(Generic[T]):
    """What one caller has handed in, and waits for."""

    read: Callable[[], Sequence[T]]
    done: asyncio.Future[None]
    patient: bool
    size: int


class Batcher(Generic[T]):
    """Joins what is submitted at the same time into one call of `handle`. A batch takes no further submission once it has
    `limit` items, or `limit_bytes` of them; behind one that is patient, once it has twice as many, so that it does not end with
    it. What is submitted is read only when it is taken, so that a backlog waits as bytes and not as objects. `gathers`: while
    much comes in, each batch waits a moment for more."""

    def __init__(
        self,
        handle: Callable[[list[T]], Awaitable[None]],
        limit: int,
        limit_bytes: float = math.inf,
        gathers: bool = False,
    ) -> None:
        self._handle = handle
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._gathers = gathers
        self._waiting: deque[_Submitted[T]] = deque()
        self._waited_for = 0
        self._hurry = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._came: deque[float] = deque(maxlen=FAST[0])

    async def submit(self, read: Callable[[], Sequence[T]], patient: bool = False, size: int = 0) -> None:
        """Returns when the items that `read` gives have been handled; raises what `read` raised, or `handle` for the batch
        they were in. What is `patient` goes with the next that is not, if one comes soon. `size`: bytes, where they count."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Submitted(read, done, patient, size))
        if not patient:
            self._waited_for += 1
            self._hurry.set()
        self._came.append(time.monotonic())
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await done

    async def idle(self) -> None:
        """Returns when nothing is in hand."""
        self._hurry.set()
        while self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            while self._waiting:
                if not self._hurry.is_set():
                    await self._be_patient()
                if self._gathers and self._comes_fast():
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

    async def _be_patient(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._hurry.wait()

    def _comes_fast(self) -> bool:
        many, seconds = FAST
        return len(self._came) == many and self._came[-1] - self._came[0] < seconds

    async def _gather(self) -> None:
        """Until nothing more comes, or there is enough."""
        until = time.monotonic() + GATHERING
        while len(self._waiting) < self._limit and time.monotonic() < min(until, self._came[-1] + QUIET):
            await asyncio.sleep(GLANCE)

    def _next_batch(self) -> tuple[list[T], list[asyncio.Future[None]]]:
        items: list[T] = []
        awaited: list[asyncio.Future[None]] = []
        size, is_patient, goes_alone = 0, False, not self._waited_for
        while self._waiting and (goes_alone or self._waited_for) and self._has_room(len(items), size, is_patient):
            submitted = self._waiting.popleft()
            is_patient = submitted.patient
            self._waited_for -= not is_patient
            size += submitted.size
            try:
                items += submitted.read()
            except Exception as error:
                _settle([submitted.done], error)
            else:
                awaited.append(submitted.done)
        if not self._waited_for:
            self._hurry.clear()
        return items, awaited

    def _has_room(self, count: int, size: int, is_patient: bool) -> bool:
        """Whether a batch of `count` items takes one more submission. It does not end with one that is patient: that goes with
        what comes next."""
        limits = 2 if is_patient else 1
        return count < limits * self._limit and size < limits * self._limit_bytes


def _settle(awaited: Sequence[asyncio.Future[None]], error: BaseException | None) -> None:
    for done in awaited:
        if not done.done():
            done.set_exception(error) if error else done.set_result(None)
