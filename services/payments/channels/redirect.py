"""The shopper pays on Stripe's own page (https://docs.stripe.com/api/checkout/sessions), and a webhook tells."""

from typing import Any
from urllib.parse import urlencode

from services.payments import refunds
from services.payments.channels import amounts
from services.payments.channels.stripe import Form, Stripe, read_intent, reason_of
from services.payments.charging import Errand, Payment
from services.payments.facts import Answer, Captured, Closed, Opened, Refused
from services.payments.refunds import Refund
from shared.partners import PartnerRefused

SESSIONS = "/v1/checkout/sessions"


class Redirect:
    """A session is opened; the shopper pays it, or it is called off."""

    name = "redirect"
    at_once = False

    def __init__(self, stripe: Stripe, return_url: str) -> None:
        self._stripe = stripe
        self._return_url = return_url

    async def carry_out(self, errand: Errand, payment: Payment) -> Answer:
        """The session says how it stands, whichever of these was asked; there is nothing to capture by hand."""
        match errand:
            case Errand.CHARGE:
                return await self._open(payment)
            case Errand.ASK | Errand.CAPTURE:
                return await self._look_up(payment)
            case Errand.VOID:
                return await self._expire(payment)

    async def refund(self, payment: Payment, refund: Refund) -> refunds.Answer:
        """Back the way it came."""
        return await self._stripe.refund(payment, refund)

    async def _open(self, payment: Payment) -> Answer:
        try:
            return read_session(await self._stripe.post(SESSIONS, f"charge-{payment.id}", self._form(payment)))
        except PartnerRefused as refused:
            return Refused(reason_of(refused))
        except amounts.NoSuchUnit as no_such_unit:
            return Refused(str(no_such_unit))

    async def _look_up(self, payment: Payment) -> Answer:
        session = await self._stripe.get(f"{SESSIONS}/{payment.provider_id}")
        if session["status"] == "complete" and session["payment_status"] == "unpaid" and session["payment_intent"]:
            intent = read_intent(await self._stripe.get(f"/v1/payment_intents/{session['payment_intent']}"))
            return Opened(session["id"]) if isinstance(intent, Opened) else intent
        return read_session(session)

    async def _expire(self, payment: Payment) -> Answer:
        try:
            path = f"{SESSIONS}/{payment.provider_id}/expire"
            return read_session(await self._stripe.post(path, f"expire-{payment.id}", {}))
        except PartnerRefused:  # the shopper was quicker, or it had lapsed
            return await self._look_up(payment)

    def _form(self, payment: Payment) -> Form:
        """The same for ever for the same payment: Stripe compares it under the idempotency key."""
        terms, row = payment.terms, "line_items[0]"
        back = f"{self._return_url}?{urlencode({'order_id': payment.order_id})}"
        names = {"order_id": payment.order_id, "payment_id": str(payment.id)}
        return {
            "mode": "payment",
            "client_reference_id": str(payment.id),
            "success_url": back,
            "cancel_url": back,
            f"{row}[quantity]": "1",
            f"{row}[price_data][currency]": terms.amount.currency.lower(),
            f"{row}[price_data][unit_amount]": str(amounts.to_stripe(terms.amount)),
            f"{row}[price_data][product_data][name]": f"Order {payment.order_id}",
            **({"metadata[token]": terms.token} if terms.token else {}),
            **{f"metadata[{name}]": value for name, value in names.items()},
            **{f"payment_intent_data[metadata][{name}]": value for name, value in names.items()},
        }


def read_session(session: dict[str, Any]) -> Answer:
    """What a checkout.session object says of the payment."""
    if session["payment_status"] == "paid":
        return Captured(session["payment_intent"], amounts.of_stripe(session["amount_total"], session["currency"]))
    if session["status"] == "expired":
        return Closed()
    return Opened(session["id"], session.get("url"))
