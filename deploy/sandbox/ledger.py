"""What the partners hold, in one document: the outside view that the product's own books must agree with."""

from collections import Counter
from collections.abc import Iterable

from deploy.sandbox.courier import Courier
from deploy.sandbox.dhl.waybills import Waybill, Waybills
from deploy.sandbox.json_answers import Document
from deploy.sandbox.stripe.account import Account
from deploy.sandbox.stripe.intents import Intent
from deploy.sandbox.twilio import Message, Outbox


class Ledger:
    """Reads the partners' books."""

    def __init__(self, account: Account, waybills: Waybills, outbox: Outbox, courier: Courier) -> None:
        self._account = account
        self._waybills = waybills
        self._outbox = outbox
        self._courier = courier

    def read(self, order_id: str = "", reference: str = "", to: str = "") -> Document:
        """Everything; or, as soon as anything is named, that alone. The totals are those of the charges listed."""
        whole = not (order_id or reference or to)
        intents = self._account.intents() if whole else self._account.intents_of_order(order_id) if order_id else []
        waybills = self._waybills.all() if whole else self._waybills.with_reference(reference) if reference else []
        messages = self._outbox.all() if whole else self._outbox.to(to) if to else []
        return {
            "charges": [_charge(intent) for intent in intents],
            "shipments": [_shipment(waybill) for waybill in waybills],
            "messages": [_message(message) for message in messages],
            "totals": _totals(intents),
            "webhooks": {
                "delivered": self._courier.delivered,
                "pending": self._courier.pending,
                "abandoned": self._courier.abandoned,
            },
        }


def _charge(intent: Intent) -> Document:
    return {
        "payment_intent": intent.id,
        "order_id": intent.metadata.get("order_id"),
        "payment_id": intent.metadata.get("payment_id"),
        "amount": intent.amount,
        "captured": intent.captured,
        "refunded": intent.refunded,
        "currency": intent.currency.upper(),
        "status": intent.status,
    }


def _shipment(waybill: Waybill) -> Document:
    return {
        "reference": waybill.reference,
        "tracking_number": waybill.tracking_number,
    }


def _message(message: Message) -> Document:
    return {"to": message.to, "body": message.body}


def _totals(intents: Iterable[Intent]) -> Document:
    charged: Counter[str] = Counter()
    captured: Counter[str] = Counter()
    refunded: Counter[str] = Counter()
    for intent in intents:
        currency = intent.currency.upper()
        charged[currency] += intent.authorised
        captured[currency] += intent.captured
        refunded[currency] += intent.refunded
    return {"charged": charged, "captured": captured, "refunded": refunded}
