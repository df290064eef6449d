"""The ledger: every movement of money, once. It is only ever added to; a refund that came back is a line of its own, in
`ledger_return`."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from services.payments import refunds
from services.payments.charging import Ending, Payment
from services.payments.refunds import Refund
from shared.money import Money


class Kind(StrEnum):
    """Which way the money went."""

    CAPTURED = "captured"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement. `collected_by` is the shop through whose hands it went, if not through ours."""

    kind: Kind
    payment_id: UUID
    order_id: str
    refund_id: str | None
    amount: Money
    channel: str
    collected_by: str | None
    reference: str


def of_charge(before: Payment, after: Payment) -> list[Entry]:
    """What moved when the charge was captured; nothing otherwise."""
    if after.ending is not Ending.CAPTURED or before.ending is Ending.CAPTURED:
        return []
    return [_entry(Kind.CAPTURED, after, None, after.terms.amount, after.reference)]


def of_refund(payment: Payment, before: Refund | None, after: Refund) -> list[Entry]:
    """What moved when the refund was sent; nothing otherwise."""
    if after.state is not refunds.State.REFUNDED or (before and before.state is refunds.State.REFUNDED):
        return []
    return [_entry(Kind.REFUNDED, payment, after.id, after.amount, after.reference)]


def _entry(kind: Kind, payment: Payment, refund_id: str | None, amount: Money, reference: str | None) -> Entry:
    assert reference is not None, "money that moved has a reference"
    terms = payment.terms
    return Entry(kind, payment.id, payment.order_id, refund_id, amount, terms.channel, terms.collected_by, reference)
