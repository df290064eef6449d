"""Giving taken money back, never more than was taken."""

from dataclasses import dataclass

from deploy.sandbox.json_answers import Document
from deploy.sandbox.stripe import errors
from deploy.sandbox.stripe.intents import Intent, RefundStatus


@dataclass(slots=True)
class Refund:
    """Money given back, for good if it does not fail yet."""

    id: str
    amount: int
    currency: str
    intent_id: str
    charge_id: str
    created: int
    reason: str | None
    metadata: dict[str, str]
    status: RefundStatus

    def document(self) -> Document:
        """The `refund` object."""
        return {
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "charge": self.charge_id,
            "created": self.created,
            "currency": self.currency,
            **({"failure_reason": "expired_or_canceled_card"} if self.status == "failed" else {}),
            "metadata": self.metadata,
            "payment_intent": self.intent_id,
            "reason": self.reason,
            "status": self.status,
        }


def refundable(intent: Intent, wanted: int | None) -> int:
    """The amount to give back: what is wanted, or else all that is left. Raises StripeError if there is not so much."""
    if intent.status != "succeeded":
        message = f"This PaymentIntent ({intent.id}) does not have a successful charge to refund."
        raise errors.unexpected_state(message, intent.document())
    left = intent.captured - intent.refunded
    if left == 0:
        message = f"Charge {intent.charge_id} has already been refunded."
        raise errors.StripeError(400, "invalid_request_error", message, code="charge_already_refunded")
    amount = left if wanted is None else wanted
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise errors.StripeError(400, "invalid_request_error", message, code="amount_too_large", param="amount")
    return amount


def becomes(refund: Refund, intent: Intent, status: RefundStatus) -> None:
    """What a bank decided. What fails is on our account again, and can be given back anew."""
    refund.status = status
    if status == "failed":
        intent.refunded -= refund.amount
