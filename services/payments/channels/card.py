"""Cards, authorised and captured at once through Stripe's payment intents (https://docs.stripe.com/api/payment_intents)."""

from typing import Any

from services.payments import refunds
from services.payments.channels import amounts
from services.payments.channels.stripe import AskedOtherwise, Form, Stripe, intent_in, is_in_review, read_intent, reason_of
from services.payments.charging import Errand, Payment
from services.payments.facts import Answer, Refused
from services.payments.refunds import Refund
from shared.partners import PartnerRefused

INTENTS = "/v1/payment_intents"


class Card:
    """The token that the shopper's form gave is charged."""

    name = "card"
    at_once = False

    def __init__(self, stripe: Stripe) -> None:
        self._stripe = stripe

    async def carry_out(self, errand: Errand, payment: Payment) -> Answer:
        """The intent says how it stands, whichever of these was asked."""
        match errand:
            case Errand.CHARGE:
                return await self._charge(payment)
            case Errand.ASK:
                asked = await self._stripe.get(f"{INTENTS}/{payment.provider_id}", {"expand[]": "latest_charge"})
                return await self._take(payment, asked)
            case Errand.CAPTURE:
                return await self._decide("capture", payment, payment.provider_id)
            case Errand.VOID:
                return await self._decide("cancel", payment, payment.provider_id)

    async def refund(self, payment: Payment, refund: Refund) -> refunds.Answer:
        """Back to the card."""
        return await self._stripe.refund(payment, refund)

    async def _charge(self, payment: Payment) -> Answer:
        if not payment.terms.token:
            return Refused("the order names no card")
        try:
            made = await self._make(payment)
        except PartnerRefused as refused:
            return Refused(reason_of(refused))
        except amounts.NoSuchUnit as no_such_unit:
            return Refused(str(no_such_unit))
        return await self._take(payment, made)

    async def _make(self, payment: Payment) -> Any:
        key = f"charge-{payment.id}"
        try:
            return await self._stripe.post(INTENTS, key, _form(payment))
        except AskedOtherwise:  # by a process of 0.1.0, whose answer went to nobody
            return await self._stripe.post(INTENTS, key, _form_of_0_1_0(payment))

    async def _take(self, payment: Payment, intent: dict[str, Any]) -> Answer:
        """What is authorised is captured at once, unless Radar wants a person to review it
        (https://docs.stripe.com/radar/reviews/auth-and-capture). Asked again, both halves are found under their keys."""
        if intent["status"] == "requires_capture" and not is_in_review(intent):
            return await self._decide("capture", payment, intent["id"])
        return read_intent(intent)

    async def _decide(self, what: str, payment: Payment, id: str | None) -> Answer:
        path = f"{INTENTS}/{id}"
        try:
            return read_intent(await self._stripe.post(f"{path}/{what}", f"{what}-{payment.id}", {}))
        except PartnerRefused as refused:  # it was captured or cancelled already: the refusal says which
            return read_intent(intent_in(refused) or await self._stripe.get(path))


def _form(payment: Payment) -> Form:
    """The same for ever for the same payment: Stripe compares it under the idempotency key. Captured automatically, what is in
    review would be taken before a person has looked."""
    return _common(payment) | _charged(payment.terms.token or "") | {"capture_method": "manual"}


def _form_of_0_1_0(payment: Payment) -> Form:
    return _common(payment) | {"payment_method": payment.terms.token or ""}


def _common(payment: Payment) -> Form:
    amount = payment.terms.amount
    return {
        "amount": str(amounts.to_stripe(amount)),
        "currency": amount.currency.lower(),
        "payment_method_types[]": "card",
        "confirm": "true",
        "error_on_requires_action": "true",  # nobody is there to answer a 3-D Secure question; redirect is for that
        "metadata[order_id]": payment.order_id,
        "metadata[payment_id]": str(payment.id),
        "expand[]": "latest_charge",
    }


def _charged(token: str) -> Form:
    """A payment method (`pm_…`), or a token (`tok_…`) of which Stripe makes one."""
    if token.startswith("tok_"):
        return {"payment_method_data[type]": "card", "payment_method_data[card][token]": token}
    return {"payment_method": token}
