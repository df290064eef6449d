"""Did every order end as it must? Asked of orders' own API, and compared with the bus and with the provider's books."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.demo.courses import REFUNDED_PART, Course
from deploy.demo.installation import Installation, ask
from deploy.demo.stories import Ending, Then
from deploy.demo.watching import Watch
from shared.events.orders import OrderRejected

PATIENCE = 10.0
"""Seconds in which orders must know what the bus has told us."""

ONCE = ("order.placed", "payment.captured", "order.paid", "shipment.created", "tracking.pushed")
"""What may be said of an order only once, however often it was sent."""

SENT_A_PARCEL = (Ending.SHIPPED, Ending.COMPLETED, Ending.REFUNDED)


@dataclass(frozen=True, slots=True)
class Charged:
    """What the provider's books say of one order: minor units, and how many charges there were."""

    charges: int = 0
    captured: int = 0
    refunded: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a purchase ended, the reason that was given, and what is wrong with that."""

    course: Course
    ended: str
    reason: str
    last_event: str
    wrong: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.wrong


async def judge(shop: Installation, watch: Watch, courses: Sequence[Course]) -> list[Verdict]:
    """A verdict on each, in their sequence. Those that have come to their end get a moment: what the bus has told us,
    orders may be about to learn. Raises Trouble when the services cannot be asked."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    verdicts: dict[int, Verdict] = {}
    while True:
        open_ones = [c for c in courses if c.purchase.number not in verdicts or not verdicts[c.purchase.number].ok]
        books = await _books(shop)
        for verdict in await asyncio.gather(*(_judge_one(shop, watch, books, course) for course in open_ones)):
            verdicts[verdict.course.purchase.number] = verdict
        hopeful = any(verdict.course.has_ended and not verdict.ok for verdict in verdicts.values())
        if not hopeful or asyncio.get_running_loop().time() > deadline:
            return [verdicts[course.purchase.number] for course in courses]
        await asyncio.sleep(0.1)


async def _judge_one(shop: Installation, watch: Watch, books: dict[str, Charged], course: Course) -> Verdict:
    order_id = course.order_id
    if order_id is None:
        wrong = course.trouble or "it was not handed in in time"
        return Verdict(course, "unaccounted", "", "nothing", (wrong,))
    if course.purchase.story.ending is Ending.REJECTED:
        return await _judge_rejected(shop, watch, course, order_id)
    answer = await ask(shop.orders, "GET", f"/api/orders/{order_id}", allowed=(404,))
    if answer.status_code == 404:
        wrong = course.trouble or "orders does not know it"
        return Verdict(course, "unaccounted", _rejection(watch, course), watch.last(order_id), (wrong,))
    order = answer.json()
    wrongs = [*wrong_ending(course, order), *said_twice(watch, order_id), *wrong_money(course, order, books)]
    wrongs += [course.trouble] if course.trouble else []
    reason = "; ".join(order["held_because"]) or order["cancelled_because"] or ""
    return Verdict(course, order["status"], reason, watch.last(order_id), tuple(wrongs))


async def _judge_rejected(shop: Installation, watch: Watch, course: Course, order_id: str) -> Verdict:
    story, source, reason = course.purchase.story, course.purchase.source, _rejection(watch, course)
    order = await ask(shop.orders, "GET", f"/api/orders/{order_id}", allowed=(404,))
    wrong = []
    if story.because not in reason:
        wrong.append(f"no order.rejected of {source} with {story.because}")
    if order.status_code == 200 and order.json()["source"] == source:
        wrong.append("it was taken all the same")
    if order.status_code == 404 and story.taken_id:
        wrong.append("the order that was there first is gone")
    return Verdict(course, "rejected" if reason else "unaccounted", reason, watch.last(order_id), tuple(wrong))


def _rejection(watch: Watch, course: Course) -> str:
    """The reason that the source was given; empty when it was not rejected."""
    for event in watch.said(course.order_id or "", "order.rejected"):
        if isinstance(event, OrderRejected) and event.source == course.purchase.source:
            return event.reason
    return ""


def wrong_ending(course: Course, order: dict[str, Any]) -> Iterable[str]:
    """What is wrong with the order's status, its reason or its parcel."""
    story = course.purchase.story
    if order["status"] != story.ending:
        yield f"it should be {story.ending}"
    said = [*order["held_because"], order["cancelled_because"] or ""]
    if story.because and not any(story.because in reason for reason in said):
        yield f"the reason should say {story.because!r}"
    if story.ending in SENT_A_PARCEL and not (order["shipment"] and order["tracking_pushed_at"]):
        yield "the shopper has no tracking number"
    if story.way.is_external and order["source"] != course.purchase.source:
        yield f"it is taken for an order of {order['source']}"


def said_twice(watch: Watch, order_id: str) -> Iterable[str]:
    """What was announced more often than once."""
    for type in ONCE:
        if (times := len(watch.said(order_id, type))) > 1:
            yield f"{type} was said {times} times"


def wrong_money(course: Course, order: dict[str, Any], books: dict[str, Charged]) -> Iterable[str]:
    """What is wrong with the money. Shops that took it themselves, and bills on account, are in no provider's books."""
    story, captured, refunded = course.purchase.story, order["captured"]["amount"], order["refunded"]["amount"]
    owed = {Then.REFUND_PART: REFUNDED_PART, Then.REFUND_ALL: captured, Then.CALL_OFF: captured}.get(story.then, 0)
    if refunded != owed:
        yield f"{refunded} were refunded, {owed} should have been"
    if "payment" not in course.purchase.body or "reference" in course.purchase.body["payment"] or story.channel == "invoice":
        return
    charged = books.get(course.order_id or "", Charged())
    if charged.charges > 1:
        yield f"the provider took or holds money {charged.charges} times"
    if (charged.captured, charged.refunded) != (captured, refunded):
        yield f"the provider took {charged.captured} and gave back {charged.refunded}; orders knows of {captured} and {refunded}"


async def _books(shop: Installation) -> dict[str, Charged]:
    """The provider's own books, by order."""
    books: dict[str, Charged] = {}
    for charge in (await ask(shop.sandbox, "GET", "/sandbox/ledger")).json()["charges"]:
        before = books.get(charge["order_id"], Charged())
        books[charge["order_id"]] = Charged(
            before.charges + (charge["status"] in ("succeeded", "requires_capture")),
            before.captured + charge["captured"],
            before.refunded + charge["refunded"],
        )
    return books
