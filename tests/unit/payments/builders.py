"""Payments, as tests need them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.payments.charging import Payment, learn
from services.payments.facts import Captured, Fact, Placed, Reserved
from services.payments.refunds import Refund
from shared.money import Money

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
SOON = NOW + timedelta(minutes=1)
SHOP = "/shops/taobao-42"
PRICE = Money(amount=29900, currency="CNY")


def terms(**fields: Any) -> Placed:
    """299.00 CNY by card, unless said."""
    said: dict[str, Any] = {"amount": PRICE, "channel": "card", "token": "tok_ok"}
    return Placed(**said | fields)


def a_payment(*facts: Fact, **fields: Any) -> Payment:
    """One of which so much is known."""
    said: dict[str, Any] = {"id": UUID(int=7), "order_id": "T-1"}
    return told(Payment(**said | fields), facts)


def told(payment: Payment, facts: Iterable[Fact], now: datetime = NOW) -> Payment:
    """The payment with these facts, in this sequence."""
    for fact in facts:
        payment = learn(payment, fact, now)
    return payment


def an_attempted_payment(*facts: Fact, **placed: Any) -> Payment:
    """One whose provider has been asked, with what has become known since."""
    return told(a_payment(terms(**placed), Reserved(), attempted_at=NOW), facts)


def a_captured_payment(**placed: Any) -> Payment:
    """One whose money is ours, or the shop's."""
    if "collected_by" in placed:
        return a_payment(terms(**{"receipt": "2026112422001"} | placed))
    return an_attempted_payment(Captured("pi_1", terms(**placed).amount), **placed)


def a_refund(**fields: Any) -> Refund:
    """All of 299.00 CNY, asked for by orders, unless said."""
    said: dict[str, Any] = {"id": "R-1", "order_id": "T-1", "amount": PRICE, "reason": "order_cancelled"}
    return Refund(**said | fields)
