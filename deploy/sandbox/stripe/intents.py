"""Payment intents: money wanted, authorised, taken, given back; and the charge inside each."""

from dataclasses import dataclass, field
from typing import Literal

from deploy.sandbox.json_answers import Document
from deploy.sandbox.stripe import errors

Status = Literal["succeeded", "requires_capture", "requires_payment_method", "canceled"]
RefundStatus = Literal["pending", "succeeded", "failed"]
DeclineCode = Literal["generic_decline", "insufficient_funds"]

DECLINE_MESSAGES: dict[DeclineCode, str] = {
    "generic_decline": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
}


@dataclass(slots=True)
class Intent:
    """One payment, and its one charge. Amounts are minor units; `currency` is lower case, as at Stripe."""

    id: str
    charge_id: str
    amount: int
    currency: str
    payment_method: str
    created: int
    status: Status
    capture_method: str = "automatic"
    metadata: dict[str, str] = field(default_factory=dict)
    review: str | None = None
    decline_code: DeclineCode | None = None
    captured: int = 0
    refunded: int = 0
    refund_statuses: tuple[RefundStatus, ...] = ("succeeded",)
    canceled_at: int | None = None
    cancellation_reason: str | None = None

    @property
    def authorised(self) -> int:
        """The money that was taken, or is still held for us to take."""
        if self.status == "requires_capture":
            return self.amount
        return self.captured

    def document(self, *, expand_charge: bool = False) -> Document:
        """The `payment_intent` object."""
        return {
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": self.amount if self.status == "requires_capture" else 0,
            "amount_received": self.captured,
            "canceled_at": self.canceled_at,
            "cancellation_reason": self.cancellation_reason,
            "capture_method": self.capture_method,
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": self.currency,
            "last_payment_error": self._payment_error(),
            "latest_charge": self.charge_document() if expand_charge else self.charge_id,
            "livemode": False,
            "metadata": self.metadata,
            "next_action": None,
            "payment_method": None if self.decline_code else self.payment_method,
            "payment_method_types": ["card"],
            "review": self.review,
            "status": self.status,
        }

    def charge_document(self) -> Document:
        """The `charge` object."""
        failure = DECLINE_MESSAGES[self.decline_code] if self.decline_code else None
        return {
            "id": self.charge_id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": self.captured,
            "amount_refunded": self.refunded,
            "captured": self.captured > 0,
            "created": self.created,
            "currency": self.currency,
            "failure_code": "card_declined" if failure else None,
            "failure_message": failure,
            "livemode": False,
            "metadata": self.metadata,
            "outcome": self._outcome(),
            "paid": not failure,
            "payment_intent": self.id,
            "payment_method": self.payment_method,
            "refunded": self.captured > 0 and self.refunded == self.captured,
            "review": self.review,
            "status": self._charge_status(),
        }

    def declined(self) -> errors.StripeError:
        """The card_error that tells of a declined charge, the intent inside it."""
        assert self.decline_code, "only a declined intent is told of as declined"
        return errors.StripeError(
            402,
            "card_error",
            DECLINE_MESSAGES[self.decline_code],
            code="card_declined",
            decline_code=self.decline_code,
            charge=self.charge_id,
            payment_intent=self.document(),
        )

    def _payment_error(self) -> Document | None:
        if self.decline_code is None:
            return None
        return {
            "type": "card_error",
            "code": "card_declined",
            "decline_code": self.decline_code,
            "message": DECLINE_MESSAGES[self.decline_code],
            "charge": self.charge_id,
        }

    def _charge_status(self) -> str:
        # Money that is authorised and not captured is a succeeded charge at Stripe, with `captured` false.
        return "failed" if self.decline_code else "succeeded"

    def _outcome(self) -> Document:
        if self.decline_code:
            return {
                "network_status": "declined_by_network",
                "reason": self.decline_code,
                "risk_level": "normal",
                "seller_message": "The bank did not return any further details with this decline.",
                "type": "issuer_declined",
            }
        if self.review:
            return {
                "network_status": "approved_by_network",
                "reason": "elevated_risk_level",
                "risk_level": "elevated",
                "seller_message": "Stripe evaluated this payment as having elevated risk.",
                "type": "manual_review",
            }
        return {
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "seller_message": "Payment complete.",
            "type": "authorized",
        }


def pay_again(intent: Intent, decline_code: DeclineCode | None) -> None:
    """With another card, after one that was declined."""
    intent.decline_code = decline_code
    if decline_code is None:
        intent.status, intent.captured = "succeeded", intent.amount


def capture(intent: Intent, amount: int | None) -> None:
    """Take authorised money, all of it or this much; the rest is let go. Raises StripeError if none is authorised."""
    if intent.status != "requires_capture":
        message = f"This PaymentIntent could not be captured because it has a status of {intent.status}."
        raise errors.unexpected_state(message, intent.document())
    taken = intent.amount if amount is None else amount
    if taken > intent.amount:
        raise errors.invalid("amount_to_capture", "The amount is larger than was authorised.", "amount_too_large")
    intent.captured = taken
    intent.status = "succeeded"


def cancel(intent: Intent, reason: str | None, now: int) -> None:
    """Let authorised money go. Raises StripeError when it was taken or let go already."""
    if intent.status in ("succeeded", "canceled"):
        message = f"You cannot cancel this PaymentIntent because it has a status of {intent.status}."
        raise errors.unexpected_state(message, intent.document())
    intent.status = "canceled"
    intent.canceled_at = now
    intent.cancellation_reason = reason
