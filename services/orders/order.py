"""What is known of an order, and where it stands by that. Facts only ever accumulate, so the sequence in which they come
does not matter."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import Field

from services.orders.facts import Cancellation, Claim, Fact, Hold, Parcel, Refund
from shared.events.fields import PaymentReceipt
from shared.events.orders import OrderPlaced

GIVEN_BACK_FIRST = "refunded"
"""Why an order is called off whose shop gave all of the money back before there was a parcel."""

ASTRAY = "its parcel had left before it was cancelled: stop it on its way, or get it back"


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
