"""Stripe's wire format (https://docs.stripe.com/api): what card, redirect and refunds have in common.

Not Stripe's SDK (31 MB, and 11 MB of memory in every process): seven calls are needed, and it has its own time-outs and
retries where here a job asks again.
"""

from typing import Any, Self

from services.payments import refunds
from services.payments.channels import amounts
from services.payments.charging import Payment
from services.payments.facts import Answer, Captured, Closed, Held, Opened, Refused
from services.payments.refunds import Refund
from services.payments.settings import PaymentsSettings
from shared import tls
from shared.partners import Partner, PartnerRefused, PartnerUnknown

VERSION = "2025-09-30.clover"
"""Stripe answers in the shape of the version it is asked in, whatever the account's own."""

Form = dict[str, str]


class AskedOtherwise(PartnerUnknown):
    """The key was used before, with other words: what became of that, Stripe says to those words only."""


class Stripe:
    """Asks Stripe. Whatever is not a yes or a no to what was asked is raised as PartnerUnknown."""

    def __init__(self, partner: Partner) -> None:
        self._partner = partner

    @classmethod
    def of(cls, settings: PaymentsSettings) -> Self:
        """With the account and the patience that are set."""
        key = settings.stripe_secret_key.get_secret_value()
        headers = {"Authorization": f"Bearer {key}", "Stripe-Version": VERSION}
        return cls(
            Partner(
                "stripe",
                settings.stripe_url,
                tls.outward(settings),
                timeout=settings.partner_timeout,
                at_a_time=settings.partner_calls,
                headers=headers,
            )
        )

    async def get(self, path: str, query: Form | None = None) -> Any:
        """What Stripe has there."""
        return await self._ask("GET", path, params=query)

    async def post(self, path: str, key: str, form: Form) -> Any:
        """Have something done; the same key has it done once. Raises PartnerRefused for a no."""
        return await self._ask("POST", path, data=form, headers={"Idempotency-Key": key})

    async def refund(self, payment: Payment, refund: Refund) -> refunds.Answer:
        """Send money back; the same whichever way it was taken."""
        try:
            made = await self.post("/v1/refunds", f"refund-{payment.id}-{refund.id}", _refund_form(payment, refund))
        except PartnerRefused as refused:
            return refunds.Refused(reason_of(refused))
        except amounts.NoSuchUnit as no_such_unit:
            return refunds.Refused(str(no_such_unit))
        if returned := read_refund(made):
            return refunds.Refused(returned.reason)
        return refunds.Sent(made["id"])  # a pending one, too: should it fail yet, a webhook tells, as of one that had succeeded

    async def _ask(self, method: str, path: str, **request: Any) -> Any:
        try:
            return await self._partner.call(method, path, **request)
        except PartnerRefused as refused:
            if _error(refused).get("type") == "idempotency_error":
                raise AskedOtherwise("stripe: the idempotency key was used with other parameters") from refused
            if _is_about_us(refused):
                raise PartnerUnknown(f"stripe: HTTP {refused.status} {_error(refused).get('message', '')}") from refused
            raise


def _refund_form(payment: Payment, refund: Refund) -> Form:
    assert payment.reference is not None, "only captured money goes back"
    return {
        "payment_intent": payment.reference,
        "amount": str(amounts.to_stripe(refund.amount)),
        "metadata[refund_id]": refund.id,
        "metadata[order_id]": refund.order_id,
    }


def read_intent(intent: dict[str, Any]) -> Answer:
    """What a payment_intent object says of the charge."""
    match intent["status"]:
        case "succeeded":
            return Captured(intent["id"], amounts.of_stripe(intent["amount_received"], intent["currency"]))
        case "requires_capture":
            return Held(intent["id"], _outcome(intent).get("reason") or "manual_review")
        case "canceled":
            return Closed()
        case "requires_payment_method":
            error = intent.get("last_payment_error") or {}
            return Refused(error.get("decline_code") or error.get("code") or "payment_failed")
        case _:  # it is being processed, or waits for the shopper
            return Opened(intent["id"])


def read_refund(refund: dict[str, Any]) -> refunds.Returned | None:
    """What a refund object says of its money: that it is at Stripe again, or stayed there; None while it is, or may be, on its
    way."""
    if refund["status"] not in ("failed", "canceled"):
        return None
    return refunds.Returned(refund["id"], refund.get("failure_reason") or refund["status"])


def is_in_review(intent: dict[str, Any]) -> bool:
    """Whether Radar wants a person to decide on the charge."""
    return bool(intent.get("review")) or _outcome(intent).get("type") == "manual_review"


def _outcome(intent: dict[str, Any]) -> dict[str, Any]:
    """Of its charge, where that was asked for whole."""
    charge = intent["latest_charge"] if isinstance(intent.get("latest_charge"), dict) else {}
    return charge.get("outcome") or {}


def reason_of(refused: PartnerRefused) -> str:
    """Why Stripe refused, in its own code where it has one."""
    error = _error(refused)
    return str(error.get("decline_code") or error.get("code") or error.get("message") or refused)[:500]


def intent_in(refused: PartnerRefused) -> dict[str, Any] | None:
    """The payment_intent that a refusal is about, as it stands."""
    intent: dict[str, Any] | None = _error(refused).get("payment_intent")
    return intent


def _is_about_us(refused: PartnerRefused) -> bool:
    """A wrong key, address or idempotency key is no answer about the money: it is ours to mend, and then asked again."""
    return refused.status not in (400, 402) or _error(refused).get("type") not in ("card_error", "invalid_request_error")


def _error(refused: PartnerRefused) -> dict[str, Any]:
    error = refused.body.get("error") if isinstance(refused.body, dict) else None
    return error if isinstance(error, dict) else {}
