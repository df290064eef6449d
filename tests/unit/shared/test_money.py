"""Money is an integer of minor units."""

from decimal import Decimal

import pytest

from shared.money import to_major, to_minor


def test_money_has_no_fractions_of_its_minor_unit() -> None:
    assert to_minor(Decimal("299"), "CNY") == 29900
    assert to_minor(Decimal("299"), "JPY") == 299
    assert to_major(29900, "CNY") == Decimal("299.00")
    with pytest.raises(ValueError, match="more decimals"):
        to_minor(Decimal("0.001"), "CNY")
