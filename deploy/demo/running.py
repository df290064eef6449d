"""The demo's own course: fill the shelves, hand in the orders, see each through, judge them, and audit."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import uuid4

from deploy.audit import Report, audit
from deploy.demo.courses import Course, Guide
from deploy.demo.installation import Installation, Stack, ask, reached
from deploy.demo.judging import judge
from deploy.demo.outcome import Outcome
from deploy.demo.sending import Intake, errands
from deploy.demo.shoppers import Purchase, pieces_kept, shoppers
from deploy.demo.stocking import Stocked, stock
from deploy.demo.stories import Destination, Then
from deploy.demo.watching import Watch, connected, listening

TIME_LIMIT = 90.0
"""Seconds from the first order until the last of the crowd must be accounted for."""

ENCORE_LIMIT = 20.0
AUDIT_PATIENCE = 6.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the orders are."""

    orders: int
    handed_in: int
    ended: int
    events: int
    seconds: float
    statuses: Counter[str]


class Viewer(Protocol):
    """Who is told how it goes."""

    def stocked(self, stocked: Stocked) -> None:
        """The shop is ready."""
        ...

    def progressed(self, progress: Progress) -> None:
        """The orders are so far; several times a second."""
        ...

    def says(self, sentence: str) -> None:
        """What is done now."""
        ...


async def run(stack: Stack, orders: int, viewer: Viewer, started: float) -> Outcome:
    """A whole run on the stack, which began at `started` on the monotonic clock. Raises Trouble when it cannot be begun,
    or its result not be asked for; orders that go astray are in the outcome."""
    name = uuid4().hex[:6]
    purchases = shoppers(name, orders)
    async with reached(stack) as shop, connected(stack["rabbitmq"]["url"]) as channel, listening(channel) as watch:
        viewer.stocked(await stock(shop, pieces_kept(purchases)))
        courses = {purchase.number: Course(purchase) for purchase in purchases}
        guide = Guide(shop, Intake(shop, channel), watch)
        alone = encore(purchases)
        crowd = [[courses[each.number] for each in some] for some in errands(each for each in purchases if each is not alone)]
        async with _watched(list(courses.values()), watch, viewer):
            await _see_all_through(guide, crowd, TIME_LIMIT)
            await _see_all_through(guide, [[courses[alone.number]]], ENCORE_LIMIT)
        viewer.says("asking orders how each of them stands")
        verdicts = await judge(shop, watch, list(courses.values()))
        viewer.says("auditing all four schemas")
        report = await _audit(stack["postgres"]["superuser_url"])
        timeline = await _timeline(shop, courses[alone.number])
    return Outcome(name, verdicts, report, time.monotonic() - started, watch.events, timeline)


def encore(purchases: Sequence[Purchase]) -> Purchase:
    """The order that is handed in when all others are through, so that its timeline shows how fast one order alone is.
    Paid by card, sent abroad and delivered, it meets every service and three partners."""
    return next(each for each in purchases if each.story.then is Then.DELIVER and each.story.destination is Destination.ABROAD)


async def _see_all_through(guide: Guide, together: Sequence[list[Course]], limit: float) -> None:
    """Until each has come to its end, or the time is over: the judge names those that have not."""
    tasks = [asyncio.create_task(guide.see_through(some)) for some in together]
    try:
        done, _ = await asyncio.wait(tasks, timeout=limit)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


@asynccontextmanager
async def _watched(courses: Sequence[Course], watch: Watch, viewer: Viewer) -> AsyncIterator[None]:
    """The viewer is told of the orders while the block runs, and once more at its end."""
    started = time.monotonic()

    def tell() -> None:
        handed_in = sum(course.order_id is not None for course in courses)
        ended = sum(course.has_ended for course in courses)
        statuses = Counter(course.status(watch) for course in courses)
        viewer.progressed(Progress(len(courses), handed_in, ended, watch.events, time.monotonic() - started, statuses))

    async def keep_telling() -> None:
        while True:
            tell()
            await asyncio.sleep(0.1)

    telling = asyncio.create_task(keep_telling())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        tell()


async def _audit(superuser_url: str) -> Report:
    """Everything has ended, so everything is judged, as soon as the last events have settled. What then still does not
    add up may be other people's orders on their way: they are given the audit's own time."""
    deadline = time.monotonic() + AUDIT_PATIENCE
    while time.monotonic() < deadline:
        report = await audit(superuser_url, timedelta())
        if report.ok:
            return report
        await asyncio.sleep(0.25)
    return await audit(superuser_url)


async def _timeline(shop: Installation, course: Course) -> dict[str, Any] | None:
    if course.order_id is None:
        return None
    answer = await ask(shop.orders, "GET", f"/api/orders/{course.order_id}/timeline", allowed=(404,))
    timeline: dict[str, Any] = answer.json()
    return timeline if answer.is_success else None
