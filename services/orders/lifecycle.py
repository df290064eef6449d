"""What an order is and may become. An order is what its facts say: they only ever accumulate, so the sequence in which
they come does not matter; what follows is announced by whichever fact came last."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import chain, count
from typing import Any, Self

from pydantic import Field

from services.orders.facts import GIVEN_BACK_UNASKED, Cancellation, Claim, Fact, Hold, Parcel, Refund
from shared.events import Event
from shared.events.fields import PaymentReceipt
from shared.events.orders import (
    OrderCancelled,
    OrderCompleted,
    OrderHeld,
    OrderPaid,
    OrderPlaced,
    OrderReleased,
    RefundRequested,
)
from shared.money import Money
from shared.problems import Conflict

ORDER_CANCELLED = "order_cancelled"
"""Why what is left of a cancelled order's money goes back."""

GIVEN_BACK_FIRST = "refunded"
"""Why an order is called off whose shop gave all of the money back before there was a parcel."""

ASTRAY = "its parcel had left before it was cancelled: stop it on its way, or get it back"

LAST_MOMENT = datetime(9999, 12, 31, tzinfo=UTC)
"""Behind it, in some place's clock, there is no date any more."""


class Status(StrEnum):
    """Where an order stands, derived from its facts."""

    PLACED = "placed"
    HELD = "held"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class Order(Fact):
    """What is known of an order. Without `placed` only other services' facts are known yet: it waits for it."""

    id: str
    placed: OrderPlaced | None = None
    placed_at: datetime | None = None
    intercepted: bool = False
    holds: tuple[Hold, ...] = ()
    answered: tuple[Hold, ...] = ()
    released_at: datetime | None = None
    released_by: str | None = None
    reserved: bool = False
    stock_rejected: str | None = None
    captured: int = 0
    receipt: PaymentReceipt | None = None
    payment_url: str | None = None
    payment_failed: str | None = None
    payment_voided: str | None = None
    parcel: Parcel | None = None
    pushed_at: datetime | None = None
    in_transit_at: datetime | None = None
    delivered_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled: Cancellation | None = None
    given_back_first: bool = False
    stray_seen: bool = False
    claims: tuple[Claim, ...] = ()
    refunds: dict[str, Refund] = Field(default_factory=dict)  # a literal would be copied deeply for every order

    def but(self, **facts: Any) -> Self:
        """The order with more known of it."""
        return self.model_copy(update=facts)

    def with_hold(self, hold: Hold) -> Self:
        """The order with one more hold; the same one twice is one."""
        return self if hold in self.holds else self.but(holds=(*self.holds, hold))

    @property
    def open_holds(self) -> tuple[Hold, ...]:
        """The holds no person has answered yet. Times are not compared: services' clocks differ."""
        return tuple(hold for hold in self.holds if hold not in self.answered)

    @property
    def cancel_reason(self) -> str | None:
        """Why the order will not be fulfilled, or None. Before money moved, no stock or no payment ends an order."""
        if self.cancelled:
            return self.cancelled.reason
        ended = self.stock_rejected or self.payment_failed or self.payment_voided
        return ended or (GIVEN_BACK_FIRST if self.given_back_first else None)

    @property
    def has_parcel(self) -> bool:
        """There is a parcel, whichever was heard of it first."""
        return any((self.parcel, self.pushed_at, self.in_transit_at, self.delivered_at))

    @property
    def is_astray(self) -> bool:
        """Its parcel is on its way although nobody wants it any more, and nobody has seen to that."""
        return self.cancel_reason is not None and not self.stray_seen and bool(self.in_transit_at or self.delivered_at)

    @property
    def is_in_doubt(self) -> bool:
        """The payment partner may have money of which the books know nothing, and nobody has seen to that."""
        return any(hold.in_doubt for hold in self.open_holds)

    @property
    def is_refund_refused(self) -> bool:
        """Money that was to go back has not, and its shop does not say that it gave it back either."""
        return any(refund.is_refused for refund in self.refunds.values()) and self.refunded < self.captured

    @property
    def waits_for(self) -> tuple[str, ...]:
        """What a person must see to. Calling an order off answers what had held it, but for money in doubt, and not what went
        wrong with that."""
        if self.cancel_reason is None:
            return tuple(hold.reason for hold in self.open_holds)
        refused = [refund.refusal for refund in self.refunds.values() if refund.is_refused] if self.is_refund_refused else []
        doubts = [hold.reason for hold in self.open_holds if hold.in_doubt]
        return (*refused, *doubts, *([ASTRAY] if self.is_astray else []))

    @property
    def proceeds(self) -> bool:
        """Accepted: known in whole, and not waiting for a person before anything has begun."""
        return self.placed is not None and (not self.intercepted or self.released_at is not None)

    @property
    def is_paid(self) -> bool:
        """Stock is set aside and the whole total is there: it may be shipped. Of an order that costs nothing, too, it is
        known only once somebody has said so: there is a receipt then."""
        return (
            self.placed is not None
            and self.proceeds
            and self.reserved
            and self.receipt is not None
            and self.captured >= self.placed.total.amount
            and not self.cancel_reason
        )

    @property
    def refund_asked(self) -> int:
        """What was promised back so far; a refused refund promises nothing."""
        return sum(refund.amount for refund in self.refunds.values() if not refund.failure)

    @property
    def refunded(self) -> int:
        """What went back; what payments will not acknowledge did not."""
        return sum(refund.amount for refund in self.refunds.values() if refund.reference is not None and not refund.failure)

    @property
    def status(self) -> Status:
        """What the facts add up to; the furthest fact decides."""
        if self.cancel_reason is not None:
            return Status.HELD if self.waits_for else Status.CANCELLED
        if 0 < self.captured <= self.refunded:
            return Status.REFUNDED
        if any(hold.of_refund for hold in self.open_holds):
            return Status.HELD
        if self.completed_at is not None:
            return Status.COMPLETED
        if self.delivered_at is not None:
            return Status.DELIVERED
        if self.open_holds:
            return Status.HELD
        if self.has_parcel:
            return Status.SHIPPED
        return Status.PAID if self.is_paid else Status.PLACED


def place(placed: OrderPlaced, at: datetime, suspicions: Iterable[str] = ()) -> Order:
    """A new order; with suspicions it waits for a person before anything is done. One whose shop took the money is
    captured from the start."""
    holds = tuple(Hold(reason=reason, at=at) for reason in suspicions)
    return Order(
        id=placed.order_id,
        placed=placed,
        placed_at=at,
        intercepted=bool(holds),
        holds=holds,
        captured=placed.total.amount if placed.collected_by else 0,
        receipt=placed.receipt,
    )


def fill_in(known: Order, order: Order) -> Order:
    """An order of which other services spoke before it was placed is whole now."""
    return settle(
        known.but(
            placed=order.placed,
            placed_at=order.placed_at,
            intercepted=order.intercepted,
            holds=(*known.holds, *order.holds),
            captured=max(known.captured, order.captured),
            receipt=known.receipt or order.receipt,
        )
    )


def cancel(order: Order, reason: str, now: datetime) -> Order:
    """A shopper may cancel until the parcel has left; cancelling twice is cancelling once."""
    if order.cancel_reason:
        return order
    match order.status:
        case Status.PLACED | Status.PAID:
            return settle(order.but(cancelled=Cancellation(reason=reason, at=now)))
        case Status.HELD if not order.has_parcel:
            return settle(order.but(cancelled=Cancellation(reason=reason, at=now)))
        case status:
            raise Conflict(f"order {order.id} is {status}: it is too late to cancel; ask for a refund", order_status=status)


def release(order: Order, by: str, now: datetime) -> Order:
    """A person sends a held order on its way again; or, if it is cancelled, has seen to its parcel that had left, or to money
    in doubt."""
    if order.status is not Status.HELD:
        raise Conflict(f"order {order.id} is {order.status}, not held: there is nothing to release", order_status=order.status)
    if order.cancel_reason and not (order.is_astray or order.is_in_doubt):
        raise Conflict(f"order {order.id} is cancelled and its refund was refused: ask for it again", order_status=order.status)
    return order.but(answered=order.holds, stray_seen=order.stray_seen or order.is_astray, released_at=now, released_by=by)


def refund(
    order: Order, refund_id: str, amount: int | None, reason: str, by: str | None = None, by_hand: str | None = None
) -> Order:
    """Give back a part, or without an amount all that is left. What has not left yet is cancelled instead; of what is
    cancelled, only what was refused is asked for again. `by_hand`: it has gone already, by the transfer of this reference."""
    if known := order.refunds.get(refund_id):
        if by_hand and amount != known.amount:
            what = f"{by_hand} is in the books already, as {known.amount} minor units of order {order.id}"
            raise Conflict(what, order_status=order.status)
        return order
    if by_hand:
        _check_by_hand(order)
    left = order.captured - order.refund_asked
    wanted = left if amount is None else amount
    if order.cancel_reason and not (order.is_refund_refused and left > 0):
        paid = "what was paid is refunded already, or asked for" if order.captured else "nothing was paid"
        raise Conflict(f"order {order.id} is cancelled: {paid}", order_status=order.status)
    if left <= 0:
        why = "all that was paid is refunded already, or asked for" if order.captured else "nothing is paid yet"
        raise Conflict(f"order {order.id} has nothing to refund: {why}", refundable=0)
    if not 0 < wanted <= left:
        raise Conflict(f"order {order.id} can be refunded {left} minor units, not {wanted}", refundable=left)
    if wanted == left and not order.has_parcel and not order.cancel_reason:
        raise Conflict(f"order {order.id} has not left: cancel it, and all of it is refunded", order_status=order.status)
    owed = Refund(amount=wanted, reason=reason, asked_by=by, by_hand=by_hand)
    return order.but(refunds={**order.refunds, refund_id: owed})


def _check_by_hand(order: Order) -> None:
    """While a refund is under way nobody knows whether it is the one that is spoken of. Raises Conflict."""
    if order.placed and order.placed.collected_by:
        who = f"{order.placed.collected_by} took the money, and says itself what it gave back"
        raise Conflict(f"order {order.id}: {who}", order_status=order.status)
    if any(refund.is_owed for refund in order.refunds.values()):
        raise Conflict(f"order {order.id}: a refund is under way; wait for what becomes of it", order_status=order.status)


def refund_by(order: Order, reference: str) -> str | None:
    """The id of the refund that went under this reference, by hand or by the provider; None when no such one is known."""
    return next(
        (id for id, known in order.refunds.items() if not known.failure and reference in (known.reference, known.by_hand)), None
    )


def complete(order: Order, now: datetime) -> Order:
    """The return window is over."""
    return order if order.delivered_at is None or order.completed_at else order.but(completed_at=now)


def settle(order: Order) -> Order:
    """What follows for the money. Once all of it went back before there was a parcel, there will be none; a cancelled
    order owes back whatever was captured, also what is captured after."""
    order = _count_claims(order)
    if not order.cancel_reason and not order.has_parcel and 0 < order.captured <= order.refunded:
        order = order.but(given_back_first=True)
    if order.cancel_reason is None:
        return order
    left, refund_id = order.captured - order.refund_asked, _id_of_cancellation(order)
    if left <= 0 or refund_id in order.refunds:
        return order
    return order.but(refunds={**order.refunds, refund_id: Refund(amount=left, reason=ORDER_CANCELLED)})


def _id_of_cancellation(order: Order) -> str:
    """What the refund that a cancellation owes is called. A shop may have used that name for one of its own."""
    names = chain([f"{order.id}:cancel"], (f"{order.id}:cancel-{number}" for number in count(2)))
    return next(name for name in names if name not in order.refunds or order.refunds[name].reason == ORDER_CANCELLED)


def _count_claims(order: Order) -> Order:
    """The word of who took the money counts; anybody else's, heard before that was known, is shown to a person."""
    placed = order.placed
    for claim in order.claims if placed else ():
        assert placed is not None
        if claim.source == placed.collected_by:
            order = _count(order, claim, placed.total.currency)
        else:
            reason = f"{claim.source} says that it gave back {claim.amount}, and it had not taken the money"
            order = order.with_hold(Hold(reason=reason, at=claim.at))
    return order


def _count(order: Order, claim: Claim, currency: str) -> Order:
    """More than there is does not count, nor another sum than was asked for: payments says what becomes of that."""
    asked = order.refunds.get(claim.refund_id, GIVEN_BACK_UNASKED)
    sum_asked = asked.amount or claim.amount.amount
    left = order.captured - order.refunded
    if asked.reference is not None or claim.amount != Money(amount=sum_asked, currency=currency):
        return order
    if not asked.failure and sum_asked > left:
        return order
    sent = asked.model_copy(update={"amount": sum_asked, "reference": claim.reference})
    return order.but(refunds={**order.refunds, claim.refund_id: sent})


def completes_at(order: Order, return_window: timedelta) -> datetime | None:
    """When the order will be completed by itself; None when nothing is due."""
    if order.delivered_at is None or order.completed_at or order.cancel_reason:
        return None
    return min(order.delivered_at, LAST_MOMENT - return_window) + return_window


def paid(order: Order) -> OrderPaid:
    """The whole order, as logistics and inventory need it."""
    placed = order.placed
    assert placed is not None
    assert order.receipt is not None
    return OrderPaid(
        order_id=order.id,
        currency=placed.total.currency,
        total=placed.total.amount,
        lines=placed.lines,
        customer=placed.customer,
        ship_to=placed.ship_to,
        payment=order.receipt,
    )


def follows(before: Order, after: Order) -> list[Event]:
    """What has just become true."""
    events: list[Event] = []
    placed = after.placed
    if placed is None:
        return events
    # what a shop took is entered in the books, even if it had given it back before its order was heard of
    if after.proceeds and not before.proceeds and (not after.cancel_reason or after.given_back_first):
        events.append(placed)
    if new := [hold.reason for hold in after.open_holds if hold not in before.holds or before.placed is None]:
        events.append(OrderHeld(order_id=after.id, reasons=tuple(new)))
    if after.is_astray and not before.is_astray:
        events.append(OrderHeld(order_id=after.id, reasons=(ASTRAY,)))
    if after.released_at != before.released_at:
        answers = tuple(dict.fromkeys(hold.at for hold in after.answered))
        events.append(OrderReleased(order_id=after.id, released_by=after.released_by or "", answers=answers))
    if after.is_paid and not before.is_paid:
        events.append(paid(after))
    if after.cancel_reason and (before.cancel_reason is None or before.placed is None):
        events.append(OrderCancelled(order_id=after.id, reason=after.cancel_reason))
    events += [
        RefundRequested(
            order_id=after.id,
            refund_id=refund_id,
            amount=Money(amount=owed.amount, currency=placed.total.currency),
            reason=owed.reason,
            collected_by=placed.collected_by,
            asked_by=owed.asked_by,
            by_hand=owed.by_hand,
        )
        for refund_id, owed in after.refunds.items()
        if owed.is_owed and (refund_id not in before.refunds or before.placed is None)
    ]
    if after.completed_at and not before.completed_at:
        events.append(OrderCompleted(order_id=after.id))
    return events
