"""What an order may become, and what follows: announced by whichever fact came last."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from services.orders.facts import GIVEN_BACK_UNASKED, Cancellation, Hold
from services.orders.order import ASTRAY, Order, Status
from services.orders.refunding import settle
from shared.events import Event
from shared.events.orders import (
    OrderCancelled,
    OrderCompleted,
    OrderHeld,
    OrderPaid,
    OrderPlaced,
    OrderReleased,
    RefundRequested,
    RefundReturned,
)
from shared.money import Money
from shared.problems import Conflict

LAST_MOMENT = datetime(9999, 12, 31, tzinfo=UTC)
"""Behind it, in some place's clock, there is no date any more."""


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


def complete(order: Order, now: datetime) -> Order:
    """The return window is over."""
    return order if order.delivered_at is None or order.completed_at else order.but(completed_at=now)


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
    events += [
        RefundReturned(
            order_id=after.id,
            refund_id=refund_id,
            reference=refund.by_hand or "",
            reason=refund.returned,
            said_by=refund.returned_by or "",
        )
        for refund_id, refund in after.refunds.items()
        if refund.returned and not before.refunds.get(refund_id, GIVEN_BACK_UNASKED).returned
    ]
    if after.completed_at and not before.completed_at:
        events.append(OrderCompleted(order_id=after.id))
    return events
