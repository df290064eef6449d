"""Money is an integer of minor units."""

from decimal import Decimal

import iso4217
import pytest
from pydantic import ValidationError

from shared.money import MOST, Money, exponent, to_major, to_minor

WHOLE_HERE = frozenset(["AFN", "ALL", "IQD", "IRR", "KPW", "LAK", "LBP", "MGA", "MMK", "RSD", "SOS", "SYP", "YER"])
"""As docs/decisions/0006-money-as-integers.md tells who sells in them."""


def test_money_has_no_fractions_of_its_minor_unit() -> None:
    assert to_minor(Decimal("299"), "CNY") == 29900
    assert to_minor(Decimal("299"), "JPY") == 299
    assert to_major(29900, "CNY") == Decimal("299.00")
    with pytest.raises(ValueError, match="more decimals"):
        to_minor(Decimal("0.001"), "CNY")


def test_an_amount_is_no_larger_than_every_reader_of_json_can_read() -> None:
    most = to_major(MOST, "CNY")

    assert to_minor(most, "CNY") == MOST
    with pytest.raises(ValueError, match=r"is more than 10000000000000\.00 CNY"):
        to_minor(most + Decimal("0.01"), "CNY")


@pytest.mark.parametrize("currency", ["", "cny", "CN", "XYZ", "RENMINBI", "¥"])
def test_a_currency_that_is_none_is_refused(currency: str) -> None:
    with pytest.raises(ValidationError, match="should be an ISO 4217 currency code"):
        Money(amount=1, currency=currency)


def test_decimals_are_those_of_iso_4217_but_for_the_currencies_that_were_kept_in_whole_ones() -> None:
    published = {currency.code: currency.exponent for currency in iso4217.Currency if currency.exponent is not None}

    assert {code for code, decimals in published.items() if exponent(code) != decimals} == WHOLE_HERE
    assert {exponent(code) for code in WHOLE_HERE} == {0}


@pytest.mark.parametrize(("currency", "decimals"), [("HUF", 2), ("IDR", 2), ("COP", 2), ("RSD", 0), ("SLL", 0), ("ESP", 0)])
def test_a_kept_amount_is_worth_what_it_was_in_0_1_0(currency: str, decimals: int) -> None:
    assert exponent(currency) == decimals
