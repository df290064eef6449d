"""What payments says of money. Of captured, failed and voided, an order's charge ends in exactly one."""

from pydantic import AnyHttpUrl

from shared.events.event import Event
from shared.events.fields import OrderId, Reason
from shared.money import Money


class PaymentActionRequired(Event, type="payment.action_required"):
    """The shopper must go to `url` to pay; a signed webhook tells the result."""

    order_id: OrderId
    payment_id: str
    url: AnyHttpUrl


class PaymentReviewRequired(Event, type="payment.review_required"):
    """Screening, or the provider's own, wants a person to look before money moves; order.released goes on, if
    this event's time is among its `answers`.

    `in_doubt`: the provider may have the money, and only a person can find that out there. A release does not settle it, and the
    event comes again; of a cancelled order it says that somebody has seen to it.
    """

    order_id: OrderId
    payment_id: str
    reasons: tuple[Reason, ...]
    in_doubt: bool = False

    def note(self) -> str:
        return "; ".join(self.reasons)


class PaymentCaptured(Event, type="payment.captured"):
    """The shopper's money is ours: fulfilment may start. `reference` is the provider's own id of the charge."""

    order_id: OrderId
    payment_id: str
    channel: str
    amount: Money
    reference: str

    def note(self) -> str:
        return f"{self.amount} by {self.channel}"


class PaymentFailed(Event, type="payment.failed"):
    """The channel refused to charge; nothing was taken and nothing will be."""

    order_id: OrderId
    payment_id: str
    reason: Reason

    def note(self) -> str:
        return self.reason


class PaymentVoided(Event, type="payment.voided"):
    """The charge was called off before money moved: the order was cancelled, or its reservation ran out. Of one that a person is
    asked about (payment.review_required) only a cancellation does that."""

    order_id: OrderId
    payment_id: str
    reason: Reason

    def note(self) -> str:
        return self.reason


class PaymentRefunded(Event, type="payment.refunded", inbound=True):
    """Money went back to the shopper. Comes from another system only for orders whose money that system took.

    Should a bank return it later, refund.failed says so under the same `refund_id`."""

    order_id: OrderId
    refund_id: str
    amount: Money
    reference: str

    def note(self) -> str:
        return str(self.amount)


class RefundFailed(Event, type="refund.failed"):
    """The channel refused to send money back; a person must look. After payment.refunded it says that the money had gone and
    came back; it counts whichever of the two is heard first. It is not sent again by itself."""

    order_id: OrderId
    refund_id: str
    reason: Reason

    def note(self) -> str:
        return self.reason
