"""SQL that writes: payments, refunds, the ledger, and which webhooks were heard."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.payments import refunds
from services.payments.charging import Ending, Payment
from services.payments.facts import Placed
from services.payments.ledger import Entry
from services.payments.refunds import Owed, Refund, RefundKey, Told
from services.payments.settings import settings
from shared.database import Row, Tx
from shared.events import Envelope
from shared.money import Money

LEASE_IN_CALLS = 4
"""A claim is somebody's for so many of a partner's time-outs: no claim makes more than two calls, each of them bounded."""


_KEPT = (
    *("amount", "currency", "channel", "token", "collected_by", "receipt", "concerns", "reserved", "expired", "cancelled"),
    *("review_at", "released_at", "answered", "stop_asked", "provider_id", "url", "held_at", "hold_reason", "reference"),
    *("refused", "closed", "doubt", "state", "ending", "refunding", "errand", "due_at", "attempts", "cause"),
)
"""The columns that say what is known of a payment. Claiming alone says that its provider was asked (`attempted_at`)."""


async def lock(tx: Tx, order_ids: Collection[str]) -> dict[str, Payment]:
    """The payments that are known of these orders, locked in the order of the orders' ids."""
    rows = await tx.fetch(
        "SELECT * FROM payment WHERE order_id = any($1::text[]) ORDER BY order_id FOR UPDATE", sorted(order_ids)
    )
    return {row["order_id"]: payment_of(row) for row in rows}


async def insert(tx: Tx, payments: Collection[Payment]) -> set[str]:
    """Keep payments of orders of which nothing was known; the orders whose payment is kept now. Of the others somebody else has
    learned at this moment: they are left as they are, and can be locked."""
    rows = await tx.fetch(
        f"""
        INSERT INTO payment (order_id, id, {", ".join(_KEPT)}, ended_at)
        SELECT order_id, id, {", ".join(_KEPT)}, CASE WHEN ending IS NOT NULL THEN $2::timestamptz END
          FROM jsonb_populate_recordset(NULL::payment, $1) ORDER BY order_id
            ON CONFLICT (order_id) DO NOTHING RETURNING order_id
        """,  # noqa: S608
        [_row_of(payment) for payment in payments],
        tx.now,
    )
    return {row["order_id"] for row in rows}


async def save(tx: Tx, payments: Sequence[Payment] = (), entries: Sequence[Entry] = ()) -> None:
    """Keep what is known of these payments, which are locked, and add to the ledger what has moved, by one statement."""
    await tx.execute(
        f"""
        WITH entered AS (
            INSERT INTO ledger_entry (kind, payment_id, order_id, refund_id, amount, currency, channel, collected_by, reference,
                                      at)
            SELECT moved.*, $2
              FROM unnest($3::text[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[], $10::text[],
                          $11::text[]) AS moved
        )
        UPDATE payment
           SET ({", ".join(_KEPT)}, ended_at)
             = ({", ".join(f"known.{column}" for column in _KEPT)},
                coalesce(payment.ended_at, CASE WHEN known.ending IS NOT NULL THEN $2::timestamptz END))
          FROM jsonb_populate_recordset(NULL::payment, $1) AS known
         WHERE payment.order_id = known.order_id
        """,  # noqa: S608
        [_row_of(payment) for payment in payments],
        tx.now,
        [entry.kind for entry in entries],
        [entry.payment_id for entry in entries],
        [entry.order_id for entry in entries],
        [entry.refund_id for entry in entries],
        [entry.amount.amount for entry in entries],
        [entry.amount.currency for entry in entries],
        [entry.channel for entry in entries],
        [entry.collected_by for entry in entries],
        [entry.reference for entry in entries],
    )


async def claim_charges(tx: Tx, limit: int) -> list[Payment]:
    """Payments whose provider is to be asked now, leased to the caller. From here on the provider may have been asked."""
    rows = await tx.fetch(
        """
        UPDATE payment
           SET due_at = $1 + $3::interval, attempts = attempts + 1,
               attempted_at = coalesce(attempted_at, $1), stop_asked = stop_asked OR errand = 'void'
         WHERE order_id IN (SELECT order_id FROM payment WHERE due_at <= $1
                             ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING *
        """,
        tx.now,
        limit,
        LEASE_IN_CALLS * timedelta(seconds=settings().partner_timeout),
    )
    return [payment_of(row) for row in rows]


async def order_of(tx: Tx, payment_id: UUID) -> str | None:
    """Which order the payment is of."""
    order_id: str | None = await tx.fetchval("SELECT order_id FROM payment WHERE id = $1", payment_id)
    return order_id


async def lock_refunds(tx: Tx, order_ids: Collection[str]) -> dict[RefundKey, Refund]:
    """All refunds of these orders, whose payments are locked."""
    rows = await tx.fetch(
        "SELECT * FROM refund WHERE order_id = any($1::text[]) ORDER BY order_id, id FOR UPDATE", sorted(order_ids)
    )
    return {(row["order_id"], row["id"]): refund_of(row) for row in rows}


_REFUND_KEPT = (
    *("amount", "currency", "reason", "asked_by", "told_by", "told_reference", "state", "reference", "failure", "due_at"),
    *("attempts", "cause"),
)
"""The columns that say what is known of a refund; as of a payment, claiming alone says that its provider was asked."""


async def save_refunds(tx: Tx, known: Sequence[Refund]) -> None:
    """Keep what is known of these refunds; their payments are locked."""
    await tx.execute(
        f"""
        INSERT INTO refund (order_id, id, {", ".join(_REFUND_KEPT)})
        SELECT order_id, id, {", ".join(_REFUND_KEPT)} FROM jsonb_populate_recordset(NULL::refund, $1) ORDER BY order_id, id
            ON CONFLICT ON CONSTRAINT refund_is_known_in_its_order DO UPDATE
           SET ({", ".join(_REFUND_KEPT)}) = ({", ".join(f"EXCLUDED.{column}" for column in _REFUND_KEPT)})
        """,  # noqa: S608
        [_refund_row(refund) for refund in known],
    )


async def enter_returned(tx: Tx, keys: Collection[RefundKey]) -> None:
    """Add to the ledger that these refunds, which are entered in it, came back."""
    await tx.execute(
        "INSERT INTO ledger_return (order_id, refund_id, at) SELECT *, $3 FROM unnest($1::text[], $2::text[])",
        [order_id for order_id, _ in keys],
        [refund_id for _, refund_id in keys],
        tx.now,
    )


async def claim_refunds(tx: Tx, limit: int) -> list[Owed]:
    """Refunds that the provider is to be asked for now, leased to the caller."""
    rows = await tx.fetch(
        """
        WITH claimed AS (
            UPDATE refund
               SET due_at = $1 + $3::interval, attempts = attempts + 1, attempted_at = coalesce(attempted_at, $1)
             WHERE (order_id, id) IN (
                   SELECT order_id, id FROM refund WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
            RETURNING refund
        )
        SELECT refund, payment FROM claimed JOIN payment ON payment.order_id = (claimed.refund).order_id
        """,
        tx.now,
        limit,
        LEASE_IN_CALLS * timedelta(seconds=settings().partner_timeout),
    )
    return [Owed(refund_of(row["refund"]), payment_of(row["payment"])) for row in rows]


async def take_webhook(tx: Tx, provider: str, webhook_id: str, type: str) -> bool:
    """Whether this webhook comes for the first time; from now on it has come."""
    return bool(
        await tx.fetchval(
            """
            INSERT INTO webhook_notification (provider, id, type) VALUES ($1, $2, $3)
            ON CONFLICT ON CONSTRAINT notification_is_heard_once DO NOTHING RETURNING TRUE
            """,
            provider,
            webhook_id,
            type,
        )
    )


async def forget_webhooks(tx: Tx, before: datetime) -> int:
    """Drop the webhooks heard before that time, some at once; how many there were."""
    tag = await tx.execute(
        """
        DELETE FROM webhook_notification
         WHERE (provider, id) IN (SELECT provider, id FROM webhook_notification WHERE received_at < $1
                                   ORDER BY received_at LIMIT 5000 FOR UPDATE SKIP LOCKED)
        """,
        before,
    )
    return int(tag.split()[-1])


def payment_of(row: Row) -> Payment:
    """The noun a row stands for."""
    return Payment(
        id=row["id"],
        order_id=row["order_id"],
        placed=_placed_of(row),
        answered=tuple(row["answered"]),
        ending=Ending(row["ending"]) if row["ending"] else None,
        cause=_cause_of(row["cause"]),
        **{name: row[name] for name in _SAME_IN_BOTH},
    )


_SAME_IN_BOTH = (
    *("reserved", "expired", "cancelled", "review_at", "released_at", "attempted_at", "stop_asked", "provider_id", "url"),
    *("held_at", "hold_reason", "reference", "refused", "closed", "doubt", "refunding", "due_at", "attempts"),
)


def _placed_of(row: Row) -> Placed | None:
    if row["amount"] is None:
        return None
    return Placed(
        amount=Money(amount=row["amount"], currency=row["currency"]),
        concerns=tuple(row["concerns"]),
        **{name: row[name] for name in ("channel", "token", "collected_by", "receipt")},
    )


def _row_of(payment: Payment) -> dict[str, Any]:
    """Its columns, without those that are null."""
    terms = payment.placed
    row = {
        "order_id": payment.order_id,
        "id": str(payment.id),  # Postgres's client has a class of its own for them
        "amount": terms and terms.amount.amount,
        "currency": terms and terms.amount.currency,
        "channel": terms and terms.channel,
        "token": terms and terms.token,
        "collected_by": terms and terms.collected_by,
        "receipt": terms and terms.receipt,
        "concerns": terms.concerns if terms else (),
        "answered": payment.answered,
        "state": payment.state,
        "ending": payment.ending,
        "errand": payment.errand,
        "cause": payment.cause,
        **{name: getattr(payment, name) for name in _SAME_IN_BOTH},
    }
    return {column: value for column, value in row.items() if value is not None}


def refund_of(row: Row) -> Refund:
    """The noun a row stands for."""
    return Refund(
        amount=Money(amount=row["amount"], currency=row["currency"]),
        told=Told(row["told_by"], row["told_reference"]) if row["told_by"] else None,
        state=refunds.State(row["state"]),
        cause=_cause_of(row["cause"]),
        **{name: row[name] for name in _SAME_IN_BOTH_OF_REFUND},
    )


_SAME_IN_BOTH_OF_REFUND = ("id", "order_id", "reason", "asked_by", "reference", "failure", "attempted_at", "due_at", "attempts")


def _refund_row(refund: Refund) -> dict[str, Any]:
    return {
        "amount": refund.amount.amount,
        "currency": refund.amount.currency,
        "told_by": refund.told and refund.told.source,
        "told_reference": refund.told and refund.told.reference,
        "state": refund.state,
        "cause": refund.cause,
        **{name: getattr(refund, name) for name in _SAME_IN_BOTH_OF_REFUND},
    }


def _cause_of(kept: dict[str, Any] | None) -> Envelope | None:
    return Envelope(**kept | {"time": datetime.fromisoformat(kept["time"])}) if kept else None
