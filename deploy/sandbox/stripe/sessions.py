"""Checkout sessions: the shopper pays on the partner's page, and we hear of it by webhook."""

from dataclasses import dataclass, field
from typing import Literal

from deploy.sandbox.json_answers import Document
from deploy.sandbox.stripe import errors
from deploy.sandbox.stripe.form import Form

LIFETIME = 24 * 60 * 60


@dataclass(slots=True)
class Session:
    """An invitation to pay. `intent_id` is empty until the shopper has tried."""

    id: str
    page: str
    amount_total: int
    currency: str
    created: int
    success_url: str
    cancel_url: str | None
    client_reference_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    status: Literal["open", "complete", "expired"] = "open"
    payment_status: Literal["unpaid", "paid"] = "unpaid"
    intent_id: str | None = None

    def document(self) -> Document:
        """The `checkout.session` object."""
        return {
            "id": self.id,
            "object": "checkout.session",
            "amount_subtotal": self.amount_total,
            "amount_total": self.amount_total,
            "cancel_url": self.cancel_url,
            "client_reference_id": self.client_reference_id,
            "created": self.created,
            "currency": self.currency,
            "expires_at": self.created + LIFETIME,
            "livemode": False,
            "metadata": self.metadata,
            "mode": "payment",
            "payment_intent": self.intent_id,
            "payment_method_types": ["card"],
            "payment_status": self.payment_status,
            "status": self.status,
            "success_url": self.success_url,
            "url": self.page if self.status == "open" else None,
        }


def total(form: Form) -> tuple[int, str]:
    """What the line items come to, in their one currency. Raises StripeError naming the first that is wrong."""
    rows = form.rows("line_items")
    if not rows:
        raise errors.missing("line_items")
    amount = 0
    currencies = set()
    for row in rows:
        form.required(f"{row}[price_data][product_data][name]")
        currency = form.currency(f"{row}[price_data][currency]")
        currencies.add(currency)
        amount += form.amount(f"{row}[price_data][unit_amount]", currency) * form.integer(f"{row}[quantity]")
    if len(currencies) > 1:
        raise errors.invalid("line_items", "All line items must have the same currency.")
    return amount, currencies.pop()


def expire(session: Session) -> None:
    """Take the invitation back. Raises StripeError unless it is still open."""
    if session.status != "open":
        message = (
            'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Checkout Session has a status of `{session.status}`."
        )
        raise errors.StripeError(400, "invalid_request_error", message)
    session.status = "expired"
