"""Intents: a partner is called only for a row that is committed, and outside any transaction.

A handler writes the intent and wakes its job; the job claims intents (a lease, SKIP LOCKED), has many calls in flight,
and records together the answers that come together. Who dies in between leaves a lease that runs out; then another asks
again, with the same idempotency key.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

import structlog

from shared import metrics, telemetry
from shared.batching import Batcher
from shared.database import Database, Reader, Tx, is_infrastructure
from shared.events import Envelope

log = structlog.get_logger()

BEGUN_WITHIN = 3.0
"""Seconds from the claim. A process that was paused for longer leaves the call to whoever has the lease by now: not every
partner knows a repeat for one."""


class Intent(Protocol):
    """What a claim returns: something that knows what led to it, and the how manieth attempt this is."""

    @property
    def cause(self) -> Envelope | None: ...
    @property
    def attempts(self) -> int: ...


I = TypeVar("I", bound=Intent)  # noqa: E741
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Job(Generic[I, A]):
    """How one kind of intent is carried out. `call` must be safe to repeat; it returns an answer also for "unknown".
    `overdue` counts the intents that should have been claimed so long ago, for the metric of what is stuck."""

    name: str
    claim: Callable[[Tx, int], Awaitable[Sequence[I]]]
    call: Callable[[I], Awaitable[A]]
    record: Callable[[Tx, Sequence[tuple[I, A]]], Awaitable[None]]
    poll: timedelta = timedelta(seconds=1)
    overdue: Callable[[Reader, timedelta], Awaitable[int]] | None = None


@dataclass(frozen=True, slots=True)
class _Answered(Generic[I, A]):
    """What became of a call; `cause` is the intent's, with its trace going on from the call."""

    intent: I
    answer: A
    cause: Envelope | None


class Worker(Generic[I, A]):
    """Carries out a job's intents for as long as the process lives, with so many calls under way `at_a_time`."""

    def __init__(self, job: Job[I, A], database: Database, at_a_time: int) -> None:
        self.job = job
        self._database = database
        self._at_a_time = at_a_time
        self._wake = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._may_be_more = False
        self._answers = Batcher(self._keep, at_a_time, gathers=True)

    def wake(self) -> None:
        """There are intents: do not wait for the next look."""
        self._wake.set()

    async def run(self) -> None:
        """Claim, call, record; again."""
        try:
            while True:
                await self._wait()
                try:
                    await self._claim()
                except Exception as error:
                    if not is_infrastructure(error):
                        log.exception("a job failed; it will be tried again", job=self.job.name)
                    await asyncio.sleep(0.5)
        finally:
            await self._finish()

    async def _wait(self) -> None:
        """Until woken, or it is time to look for what others left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.job.poll.total_seconds()):
                await self._wake.wait()
        self._wake.clear()

    async def _claim(self) -> None:
        """As many as there is room for. If they fill it, there may be more: whenever a call ends, it is looked again."""
        room = self._at_a_time - len(self._calls)
        claimed = await self._claimed(room) if room else []
        self._may_be_more = len(claimed) == room

    async def _claimed(self, room: int) -> Sequence[I]:
        begin_by = time.monotonic() + BEGUN_WITHIN
        async with self._database.transaction() as tx:
            claimed = await self.job.claim(tx, room)
        for intent in claimed:
            call = asyncio.create_task(self._carry_out(intent, begin_by))
            self._calls.add(call)
            call.add_done_callback(self._has_ended)
        again = sum(intent.attempts > 1 for intent in claimed)
        metrics.job_intents.labels(self.job.name, "again").inc(again)
        metrics.job_intents.labels(self.job.name, "first").inc(len(claimed) - again)
        return claimed

    def _has_ended(self, call: asyncio.Task[None]) -> None:
        self._calls.remove(call)
        if self._may_be_more:
            self._wake.set()

    async def _carry_out(self, intent: I, begin_by: float) -> None:
        """Call, and record the answer; while Postgres is away it waits."""
        answered = await self._call(intent, begin_by)
        while answered:
            try:
                await self._answers.submit(lambda: [answered])
                break
            except Exception as error:
                if not is_infrastructure(error):
                    raise
                await asyncio.sleep(0.5)

    async def _call(self, intent: I, begin_by: float) -> _Answered[I, A] | None:
        if time.monotonic() > begin_by:
            log.warning("a partner call was not begun in time; its lease will run out", job=self.job.name, **_about(intent.cause))
            return None
        cause = intent.cause
        try:
            with telemetry.working(self.job.name, [cause] if cause else []):
                answer = await self.job.call(intent)
                return _Answered(intent, answer, telemetry.continued(cause) if cause else None)
        except Exception:
            log.exception("a partner call failed unexpectedly; its lease will run out", job=self.job.name, **_about(cause))
            return None

    async def _keep(self, answers: Sequence[_Answered[I, A]]) -> None:
        """Record them together; one that cannot be kept is left to its lease, alone."""
        try:
            causes = [answer.cause for answer in answers if answer.cause]
            with telemetry.working(f"record {self.job.name}", causes):
                async with self._database.transaction(causes) as tx:
                    await self.job.record(tx, [(answered.intent, answered.answer) for answered in answers])
        except Exception as error:
            if is_infrastructure(error):
                raise
            if len(answers) > 1:
                for answer in answers:
                    await self._keep([answer])
            else:
                about = _about(answers[0].cause)
                log.exception("an answer could not be kept; it will be asked for again", job=self.job.name, **about)

    async def _finish(self) -> None:
        """Before the process ends: wait for the answers in flight and keep them. Partners' time-outs bound the wait."""
        if self._calls:
            _, unanswered = await asyncio.wait(self._calls, timeout=10)
            for call in unanswered:
                call.cancel()


def _about(cause: Envelope | None) -> dict[str, str]:
    return telemetry.about(cause) if cause else {}
