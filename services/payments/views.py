"""SQL that reads: for HTTP, and for the metric of what is stuck."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from shared.database import Reader
from shared.money import Money


class RefundView(BaseModel):
    """One refund. `failure` says why it could not be sent."""

    refund_id: str
    state: str
    amount: Money
    reference: str | None
    failure: str | None


class PaymentView(BaseModel):
    """An order's payment. `doubt` is what only a person can settle, with the provider."""

    payment_id: str
    order_id: str
    channel: str
    state: str
    amount: Money
    collected_by: str | None
    reference: str | None
    reason: str | None
    doubt: str | None
    refunds: Annotated[tuple[RefundView, ...], Field(description="The earliest asked for first.")]


async def payments_of(reader: Reader, order_id: str) -> list[PaymentView]:
    """The order's payment; none while the order is not known."""
    rows = await reader.fetch(
        """
        SELECT id::text AS payment_id, order_id, channel, state, amount, currency, collected_by, reference,
               coalesce(refused, cancelled) AS reason, doubt
          FROM payment WHERE order_id = $1 AND amount IS NOT NULL
        """,
        order_id,
    )
    refunds = await _refunds_of(reader, order_id) if rows else ()
    return [
        PaymentView(**dict(row) | {"amount": Money(amount=row["amount"], currency=row["currency"]), "refunds": refunds})
        for row in rows
    ]


async def _refunds_of(reader: Reader, order_id: str) -> tuple[RefundView, ...]:
    rows = await reader.fetch(
        """
        SELECT id AS refund_id, state, amount, currency, reference, failure
          FROM refund WHERE order_id = $1 ORDER BY created_at, id
        """,
        order_id,
    )
    return tuple(RefundView(**dict(row) | {"amount": Money(amount=row["amount"], currency=row["currency"])}) for row in rows)


async def overdue_charges(reader: Reader, late: timedelta) -> int:
    """Payments whose provider should have been asked so long ago."""
    count: int = await reader.fetchval("SELECT count(*) FROM payment WHERE due_at < now() - $1::interval", late)
    return count


async def overdue_refunds(reader: Reader, late: timedelta) -> int:
    """Refunds that should have been asked for so long ago."""
    count: int = await reader.fetchval("SELECT count(*) FROM refund WHERE due_at < now() - $1::interval", late)
    return count
