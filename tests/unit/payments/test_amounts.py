"""Stripe counts some currencies in other units than ISO 4217."""

import pytest

from services.payments.channels.amounts import NoSuchUnit, of_stripe, to_stripe
from shared.money import Money


@pytest.mark.parametrize(
    ("amount", "currency", "at_stripe"),
    [
        *[(29900, "CNY", 29900), (500, "JPY", 500), (1230, "KWD", 1230)],
        *[(150, "UGX", 15000), (150, "ISK", 15000)],  # whole ones, which Stripe writes with two decimals
        *[(29900, "HUF", 29900), (29900, "IDR", 29900), (29900, "COP", 29900)],
        (15000, "UYW", 150),  # four decimals, of which Stripe writes two
        *[(598, "RSD", 59800), (598, "ALL", 59800), (598, "MGA", 598)],  # whole ones here
    ],
)
def test_an_amount_is_the_same_money_at_stripe_and_back(amount: int, currency: str, at_stripe: int) -> None:
    money = Money(amount=amount, currency=currency)

    assert to_stripe(money) == at_stripe
    assert of_stripe(at_stripe, currency.lower()) == money


def test_a_fraction_that_stripe_cannot_count_is_refused_not_rounded() -> None:
    with pytest.raises(NoSuchUnit):
        to_stripe(Money(amount=10001, currency="UYW"))


def test_a_fraction_of_ours_that_stripe_says_is_refused_not_rounded() -> None:
    with pytest.raises(NoSuchUnit):
        of_stripe(15050, "ugx")


@pytest.mark.parametrize("currency", ["BHD", "JOD", "KWD", "OMR", "TND"])
def test_a_third_decimal_that_cards_do_not_know_is_refused_not_rounded(currency: str) -> None:
    assert to_stripe(Money(amount=5120, currency=currency)) == 5120
    with pytest.raises(NoSuchUnit, match="no unit as small"):
        to_stripe(Money(amount=5124, currency=currency))
