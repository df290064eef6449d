"""Prices and changes of products."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inventory.catalogue import Product, change, delete, displayed, price_of
from shared.money import Money, exponent
from shared.problems import Unprocessable


def a_product(**fields: Any) -> Product:
    told: dict[str, Any] = {
        "id": 1001,
        "sku": "HP-1001",
        "name": "降噪无线耳机",
        "price": Money(amount=29900, currency="CNY"),
        "category": "audio",
        "tags": ("wireless",),
        "low_stock_threshold": 5,
    }
    return Product(**told | fields)


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [(29900, "CNY", "299"), (29950, "CNY", "299.5"), (29999, "CNY", "299.99"), (299, "JPY", "299"), (1, "KWD", "0.001")],
)
def test_a_price_is_shown_in_major_units_without_needless_decimals(amount: int, currency: str, shown: str) -> None:
    assert json.dumps(displayed(Money(amount=amount, currency=currency))) == shown


@given(amount=st.integers(0, 10**15), currency=st.sampled_from(["CNY", "JPY", "KWD"]))
def test_a_price_that_was_shown_is_read_back_to_the_cent(amount: int, currency: str) -> None:
    price = Money(amount=amount, currency=currency)

    shown = json.loads(json.dumps(displayed(price)))

    assert price_of(Decimal(str(shown)), currency) == price


@pytest.mark.parametrize(("amount", "currency"), [("0.001", "CNY"), ("1.5", "JPY"), ("1E-400", "CNY")])
def test_a_fraction_that_the_currency_does_not_have_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(Unprocessable, match=f"more decimals than {currency} allows \\({exponent(currency)}\\)"):
        price_of(Decimal(amount), currency)


def test_a_changed_product_has_a_new_revision_and_keeps_what_was_not_said() -> None:
    after = change(a_product(), price=Decimal("259.9"))

    assert after == a_product(price=Money(amount=25990, currency="CNY"), revision=2)
    assert after.changed().revision == 2
    assert change(after, name="无线耳机") == a_product(name="无线耳机", price=after.price, revision=3)


def test_saying_what_is_so_already_makes_no_new_revision() -> None:
    assert change(a_product(), name="降噪无线耳机", price=Decimal("299.00"), tags=["wireless", "wireless"]) == a_product()


def test_what_may_be_empty_can_be_emptied() -> None:
    after = change(a_product(), category="", tags=[], low_stock_threshold=0)

    assert after == a_product(category="", tags=(), low_stock_threshold=0, revision=2)


def test_another_currency_needs_another_price() -> None:
    with pytest.raises(Unprocessable, match="give the price as well"):
        change(a_product(), currency="JPY")

    assert change(a_product(), currency="JPY", price=Decimal(5000)).price == Money(amount=5000, currency="JPY")
    assert change(a_product(), currency="CNY") == a_product()


def test_a_deleted_product_has_a_last_revision() -> None:
    deleted = delete(a_product(revision=7))

    assert deleted.deleted
    assert deleted.gone().revision == 8
