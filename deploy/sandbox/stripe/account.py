"""Everything that this Stripe account holds, in memory."""

import time
from collections import defaultdict
from typing import TypeVar

from deploy.sandbox import identifiers
from deploy.sandbox.stripe import errors, intents, refunds
from deploy.sandbox.stripe.intents import DeclineCode, Intent
from deploy.sandbox.stripe.refunds import Refund
from deploy.sandbox.stripe.sessions import Session

Held = TypeVar("Held")


class Account:
    """Payments, refunds and sessions by id. Finding one that is not there raises StripeError."""

    def __init__(self) -> None:
        self._intents: dict[str, Intent] = {}
        self._charges: dict[str, Intent] = {}
        self._refunds: dict[str, Refund] = {}
        self._sessions: dict[str, Session] = {}
        self._intents_of_order: defaultdict[str, list[Intent]] = defaultdict(list)

    def charge(
        self,
        amount: int,
        currency: str,
        payment_method: str,
        metadata: dict[str, str],
        *,
        decline_code: DeclineCode | None = None,
        review: bool = False,
        capture_method: str = "automatic",
    ) -> Intent:
        """Charge a payment method: declined, or authorised and to be captured by hand, or taken at once."""
        by_hand = capture_method == "manual"
        intent = Intent(
            id=identifiers.new("pi_"),
            charge_id=identifiers.new("ch_"),
            amount=amount,
            currency=currency,
            payment_method=payment_method,
            created=int(time.time()),
            status="requires_payment_method" if decline_code else "requires_capture" if by_hand else "succeeded",
            capture_method=capture_method,
            metadata=metadata,
            review=identifiers.new("prv_") if review else None,
            decline_code=decline_code,
            captured=0 if decline_code or by_hand else amount,
        )
        self._intents[intent.id] = intent
        self._charges[intent.charge_id] = intent
        self._intents_of_order[metadata.get("order_id", "")].append(intent)
        return intent

    def refund(self, intent: Intent, wanted: int | None, reason: str | None, metadata: dict[str, str]) -> Refund:
        """Give money back, all that is left unless less is wanted. Raises StripeError if there is not so much."""
        amount = refunds.refundable(intent, wanted)
        intent.refunded += amount
        refund = Refund(
            id=identifiers.new("re_"),
            amount=amount,
            currency=intent.currency,
            intent_id=intent.id,
            charge_id=intent.charge_id,
            created=int(time.time()),
            reason=reason,
            metadata=metadata,
            status=intent.refund_statuses[0],
        )
        refunds.becomes(refund, intent, refund.status)
        self._refunds[refund.id] = refund
        return refund

    def open(self, session: Session) -> None:
        self._sessions[session.id] = session

    def pay(self, session: Session, decline_code: DeclineCode | None, *, by_debit: bool) -> str | None:
        """The shopper tries to pay; the event that tells, if one does. A declined card leaves the session open for another, and
        a debit completes it, whether there is money or not. Nothing happens if the session is no longer open."""
        if session.status != "open":
            return None
        if session.intent_id:
            intents.pay_again(self.intent(session.intent_id), decline_code)
        else:
            metadata = dict(session.metadata)
            if session.client_reference_id:
                metadata.setdefault("order_id", session.client_reference_id)
            method = identifiers.new("pm_")
            session.intent_id = self.charge(
                session.amount_total, session.currency, method, metadata, decline_code=decline_code
            ).id
        if decline_code and not by_debit:
            return None
        session.status = "complete"
        session.payment_status = "unpaid" if decline_code else "paid"
        return "checkout.session.async_payment_failed" if decline_code else "checkout.session.completed"

    def intent(self, id: str) -> Intent:
        return _found(self._intents, id, "payment_intent")

    def intent_named(self, id: str) -> Intent:
        """The intent that a parameter names; Stripe answers 400, not 404, where there is none."""
        if id not in self._intents:
            raise errors.unknown("payment_intent", id, "payment_intent", status=400)
        return self._intents[id]

    def intent_of_charge(self, charge_id: str) -> Intent:
        return _found(self._charges, charge_id, "charge")

    def refund_of(self, id: str) -> Refund:
        return _found(self._refunds, id, "refund")

    def session(self, id: str) -> Session:
        return _found(self._sessions, id, "checkout.session")

    def intents(self) -> list[Intent]:
        """All, oldest first."""
        return list(self._intents.values())

    def intents_of_order(self, order_id: str) -> list[Intent]:
        return list(self._intents_of_order.get(order_id, ()))


def _found(held: dict[str, Held], id: str, kind: str) -> Held:
    if id not in held:
        raise errors.unknown(kind, id)
    return held[id]
