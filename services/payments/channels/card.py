"""Cards, charged at once through Stripe's payment intents (https://docs.stripe.com/api/payment_intents)."""

from services.payments import refunds
from services.payments.channels import amounts
from services.payments.channels.stripe import Form, Stripe, intent_in, read_intent, reason_of
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
                return read_intent(await self._stripe.get(f"{INTENTS}/{payment.provider_id}", {"expand[]": "latest_charge"}))
            case Errand.CAPTURE:
                return await self._decide("capture", payment)
            case Errand.VOID:
                return await self._decide("cancel", payment)

    async def refund(self, payment: Payment, refund: Refund) -> refunds.Answer:
        """Back to the card."""
        return await self._stripe.refund(payment, refund)

    async def _charge(self, payment: Payment) -> Answer:
        if not payment.terms.token:
            return Refused("the order names no card")
        try:
            return read_intent(await self._stripe.post(INTENTS, f"charge-{payment.id}", _form(payment)))
        except PartnerRefused as refused:
            return Refused(reason_of(refused))
        except amounts.NoSuchUnit as no_such_unit:
            return Refused(str(no_such_unit))

    async def _decide(self, what: str, payment: Payment) -> Answer:
        path = f"{INTENTS}/{payment.provider_id}"
        try:
            return read_intent(await self._stripe.post(f"{path}/{what}", f"{what}-{payment.id}", {}))
        except PartnerRefused as refused:  # it was captured or cancelled already: the refusal says which
            return read_intent(intent_in(refused) or await self._stripe.get(path))


def _form(payment: Payment) -> Form:
    """The same for ever for the same payment: Stripe compares it under the idempotency key."""
    terms = payment.terms
    return {
        "amount": str(amounts.to_stripe(terms.amount)),
        "currency": terms.amount.currency.lower(),
        **_charged(terms.token or ""),
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
