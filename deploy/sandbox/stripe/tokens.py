"""What each token makes happen."""

from dataclasses import dataclass
from typing import Literal

from deploy.sandbox.stripe import errors
from deploy.sandbox.stripe.intents import DeclineCode, RefundStatus

Call = Literal["answers", "held", "slow", "fails_once", "fails_after"]
"""How the call that carries the token is answered: at once, too late, after a while, with a 500 the first time, or, though its
work is done, with a 500 each time."""


@dataclass(frozen=True, slots=True)
class Card:
    """What comes of charging a payment method; and of giving the money back, at first and later."""

    decline_code: DeclineCode | None = None
    review: bool = False
    call: Call = "answers"
    webhook: bool = False
    refund: tuple[RefundStatus, ...] = ("succeeded",)


@dataclass(frozen=True, slots=True)
class Visit:
    """What the shopper does with a checkout session, and how we are told. He pays by card, or by a debit that fails later."""

    decline_code: DeclineCode | None = None
    by_debit: bool = False
    webhooks: int = 1
    webhook: Literal["soon", "early", "late"] = "soon"
    call: Call = "answers"


CARDS: dict[str, Card] = {
    "tok_ok": Card(),
    "tok_declined": Card(decline_code="generic_decline"),
    "tok_insufficient_funds": Card(decline_code="insufficient_funds"),
    "tok_review": Card(review=True),
    "tok_timeout_after_charge": Card(call="held"),
    "tok_server_error_once": Card(call="fails_once"),
    "tok_server_error": Card(call="fails_after", webhook=True),
    "tok_server_error_untold": Card(call="fails_after"),
    "tok_slow": Card(call="slow"),
    "tok_refund_fails": Card(refund=("succeeded", "failed")),
    "tok_refund_fails_at_once": Card(refund=("failed",)),
    "tok_refund_pending": Card(refund=("pending", "succeeded")),
    "tok_refund_pending_fails": Card(refund=("pending", "failed")),
}

VISITS: dict[str, Visit | None] = {
    "": None,
    "tok_manual": None,
    "tok_ok": Visit(),
    "tok_declined": Visit(decline_code="generic_decline"),
    "tok_insufficient_funds": Visit(decline_code="insufficient_funds"),
    "tok_debit_failed": Visit(decline_code="insufficient_funds", by_debit=True),
    "tok_webhook_twice": Visit(webhooks=2),
    "tok_webhook_early": Visit(webhook="early"),
    "tok_webhook_late": Visit(webhook="late"),
    "tok_webhook_never": Visit(webhooks=0),
    "tok_timeout_after_charge": Visit(call="held"),
    "tok_server_error_once": Visit(call="fails_once"),
    "tok_slow": Visit(call="slow"),
}


def card(token: str) -> Card:
    """Raises StripeError for a token that does not exist."""
    if token not in CARDS:
        raise errors.unknown("token", token, "payment_method_data[card][token]", status=400)
    return CARDS[token]


def payment_method(id: str) -> Card:
    """The one that its name says: `pm_ok` is charged as `tok_ok`. Raises StripeError for one that does not exist."""
    if id.startswith("tok_"):
        raise errors.token_as_payment_method(id)
    token = f"tok_{id.removeprefix('pm_')}"
    if token not in CARDS:
        raise errors.unknown("PaymentMethod", id, "payment_method", status=400)
    return CARDS[token]


def visit(token: str) -> Visit | None:
    """None if nobody comes by himself. Raises StripeError for a token that does not exist."""
    if token not in VISITS:
        raise errors.unknown("token", token, "metadata[token]", status=400)
    return VISITS[token]
