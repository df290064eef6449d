"""Stands in for services/payments/store.py."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from services.payments.charging import Ending, Errand, Payment
from services.payments.ledger import Entry
from services.payments.refunds import Owed, Refund, RefundKey
from shared.database import Tx
from shared.records import replace
from tests.simulation.memory.tables import Tables, require

LEASE = timedelta(seconds=20)


@dataclass
class PaymentsTables(Tables):
    """Payments by order, refunds by order and id, the ledger, and which webhooks were heard."""

    payments: dict[str, Payment] = field(default_factory=dict)
    refunds: dict[RefundKey, Refund] = field(default_factory=dict)
    ledger: dict[int, Entry] = field(default_factory=dict)
    returned: dict[RefundKey, None] = field(default_factory=dict)
    notifications: dict[str, None] = field(default_factory=dict)

    def next_due(self) -> list[datetime]:
        charges = [each.due_at for each in self.payments.values() if each.due_at]
        return charges + [each.due_at for each in self.refunds.values() if each.due_at]


def _of(tx: Tx) -> PaymentsTables:
    tables: PaymentsTables = tx.tables  # type: ignore[attr-defined]
    return tables


async def lock(tx: Tx, order_ids: Collection[str]) -> dict[str, Payment]:
    known = _of(tx).payments
    return {order_id: known[order_id] for order_id in sorted(order_ids) if order_id in known}


async def insert(tx: Tx, payments: Collection[Payment]) -> set[str]:
    for payment in payments:
        _check(payment)
        _of(tx).payments[payment.order_id] = payment
    return {payment.order_id for payment in payments}


async def save(tx: Tx, payments: Sequence[Payment] = (), entries: Sequence[Entry] = ()) -> None:
    for payment in payments:
        _check(payment)
        # neither is written by it: claiming alone says that the provider was asked
        known = _of(tx).payments[payment.order_id]
        same = payment.attempted_at == known.attempted_at
        _of(tx).payments[payment.order_id] = payment if same else replace(payment, attempted_at=known.attempted_at)
    ledger = _of(tx).ledger
    for entry in entries:
        once = all((e.kind, e.order_id, e.refund_id) != (entry.kind, entry.order_id, entry.refund_id) for e in ledger.values())
        require(once, "money_is_entered_once", entry)
        ledger[len(ledger)] = entry


async def claim_charges(tx: Tx, limit: int) -> list[Payment]:
    known = _of(tx).payments
    claimed = []
    for payment in sorted((p for p in known.values() if p.due_at and p.due_at <= tx.now), key=lambda p: (p.due_at, p.order_id)):
        known[payment.order_id] = replace(
            payment,
            due_at=tx.now + LEASE,
            attempts=payment.attempts + 1,
            attempted_at=payment.attempted_at or tx.now,
            stop_asked=payment.stop_asked or payment.errand is Errand.VOID,
        )
        claimed.append(known[payment.order_id])
    return claimed[:limit]


async def order_of(tx: Tx, payment_id: UUID) -> str | None:
    return next((payment.order_id for payment in _of(tx).payments.values() if payment.id == payment_id), None)


async def lock_refunds(tx: Tx, order_ids: Collection[str]) -> dict[RefundKey, Refund]:
    known = _of(tx).refunds
    return {key: known[key] for key in sorted(known) if key[0] in order_ids}


async def save_refunds(tx: Tx, known: Sequence[Refund]) -> None:
    tables = _of(tx)
    for refund in known:
        before = tables.refunds.get(refund.key)
        tables.refunds[refund.key] = replace(refund, attempted_at=before.attempted_at if before else None)


async def enter_returned(tx: Tx, keys: Collection[RefundKey]) -> None:
    entered = {(entry.order_id, entry.refund_id) for entry in _of(tx).ledger.values()}
    for key in keys:
        require(key in entered, "only_what_went_comes_back", key)
        require(key not in _of(tx).returned, "return_is_entered_once", key)
        _of(tx).returned[key] = None


async def claim_refunds(tx: Tx, limit: int) -> list[Owed]:
    tables = _of(tx)
    claimed = []
    for refund in sorted(
        (r for r in tables.refunds.values() if r.due_at and r.due_at <= tx.now), key=lambda r: (r.due_at, r.key)
    ):
        tables.refunds[refund.key] = replace(
            refund, due_at=tx.now + LEASE, attempts=refund.attempts + 1, attempted_at=refund.attempted_at or tx.now
        )
        claimed.append(Owed(tables.refunds[refund.key], tables.payments[refund.order_id]))
    return claimed[:limit]


async def take_webhook(tx: Tx, provider: str, webhook_id: str, type: str) -> bool:
    heard = _of(tx).notifications
    if webhook_id in heard:
        return False
    heard[webhook_id] = None
    return True


def _check(known: Payment) -> None:
    captured = known.ending is Ending.CAPTURED
    terms = known.placed
    require(known.ending is None or terms is not None, "ended_payment_has_terms", known)
    require(captured == (known.reference is not None), "only_captured_money_has_a_proof", known)
    require(terms is None or terms.collected_by is None or captured, "shop_collected_means_captured", known)
    require((known.errand is None) == (known.due_at is None), "payment_errand_has_a_time", known)
    require(known.ending is None or known.errand is None, "ended_payment_has_no_errand", known)
    require(known.attempted_at is None or (known.reserved and terms is not None), "provider_is_asked_once_reserved", known)
    most = terms.amount.amount if captured and terms else 0
    require(0 <= known.refunding <= most, "never_refund_more_than_captured", known)
