"""An order's own facts, announced by orders; two of them may also come from other systems."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from shared.events.event import Event
from shared.events.fields import (
    Address,
    Currency,
    Customer,
    Lines,
    MinorUnits,
    OrderedLines,
    OrderId,
    PaymentChoice,
    PaymentReceipt,
    Reason,
    text,
)
from shared.money import Money


class OrderSubmitted(Event, type="order.submitted", inbound=True):
    """Another system asks for an order to be placed, as `POST /api/orders` would; it hears order.placed or order.rejected.

    Carries no prices: orders prices it from its own copy of the price list.
    """

    order_id: OrderId
    currency: Currency
    customer: Customer
    ship_to: Address
    lines: OrderedLines
    payment: PaymentChoice


class OrderPlaced(Event, type="order.placed"):
    """Orders has accepted and priced the order; stock may be set aside. `total` is the sum of its lines.

    `collected_by` is set when the shop that sold it has taken the money already (its CloudEvents source): nothing is
    charged then, and the receipt is in `receipt`.
    """

    order_id: OrderId
    source: str
    total: Money
    lines: Lines
    customer: Customer
    ship_to: Address
    payment: PaymentChoice
    collected_by: str | None = None
    receipt: PaymentReceipt | None = None

    def note(self) -> str:
        return f"{len(self.lines)} line(s), {self.total}, {self.payment.channel}"


class OrderRejected(Event, type="order.rejected"):
    """Orders did not take a submitted or paid order from another system; nothing was done for it.

    `reason` is one of unknown_sku, currency_mismatch, total_too_large, order_id_taken; `detail` says which line or source.
    """

    order_id: OrderId
    source: str
    reason: Literal["unknown_sku", "currency_mismatch", "total_too_large", "order_id_taken"]
    detail: Reason

    def note(self) -> str:
        return f"{self.reason}: {self.detail} (from {self.source})"


class OrderPaid(Event, type="order.paid", inbound=True):
    """The order is paid in full, with the whole order in it.

    From another system (any `source` but ours) it says: we have taken the money, please fulfil. Orders admits it,
    and announces its own order.paid under its own source once stock is set aside; only that one is shipped.
    `total` is in minor units; orders holds the order for a person when it is not the sum of the lines.
    """

    order_id: OrderId
    currency: Currency
    total: MinorUnits
    lines: Lines
    customer: Customer
    ship_to: Address
    payment: PaymentReceipt

    def note(self) -> str:
        return f"{Money(amount=self.total, currency=self.currency)} by {self.payment.channel}"


class OrderHeld(Event, type="order.held"):
    """The order waits for a person, who releases or cancels it; `reasons` say why, in words."""

    order_id: OrderId
    reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]

    def note(self) -> str:
        return "; ".join(self.reasons)


class OrderReleased(Event, type="order.released"):
    """A person has looked at a held order and sent it on its way; whoever had stopped it tries again.

    `answers` are the times of the events that had held the order, each as its own service said it: whoever held it knows
    by them whether the person had seen that, without comparing two services' clocks.
    """

    order_id: OrderId
    released_by: str
    answers: tuple[AwareDatetime, ...] = ()

    def note(self) -> str:
        return f"by {self.released_by}"


class OrderCancelled(Event, type="order.cancelled"):
    """The order will not be fulfilled: its stock is freed, its charge voided, its waybill withdrawn."""

    order_id: OrderId
    reason: Reason

    def note(self) -> str:
        return self.reason


class RefundRequested(Event, type="refund.requested"):
    """Orders owes the shopper money back. Payments sends it; for an order whose shop took the money
    (`collected_by`), that shop does, and says so with payment.refunded. `asked_by` is whose token asked for it; nobody's where
    the order was cancelled. With `by_hand`, the reference of a transfer, it has gone already: a person gave it back, and nobody
    is to send anything."""

    order_id: OrderId
    refund_id: str
    amount: Money
    reason: Reason
    collected_by: str | None = None
    asked_by: str | None = None
    by_hand: Annotated[str, text(200)] | None = None

    def note(self) -> str:
        how = f"; given back by hand by {self.asked_by}: {self.by_hand}" if self.by_hand else ""
        return f"{self.amount}: {self.reason}{how}"


class RefundReturned(Event, type="refund.returned"):
    """A person says that the bank has returned what was given back by hand, by the transfer of this `reference`: the money is
    ours again. Payments answers with refund.failed, and a person must look."""

    order_id: OrderId
    refund_id: str
    reference: Annotated[str, text(200)]
    reason: Reason
    said_by: str

    def note(self) -> str:
        return f"{self.reference}: {self.reason}; said by {self.said_by}"


class OrderCompleted(Event, type="order.completed"):
    """The parcel is with the shopper and the return window is over: nothing more is to be done."""

    order_id: OrderId
