"""Which payments a person must look at."""

from services.payments.risk import Limits, screen
from shared.money import Money


def test_a_payment_above_the_limit_is_looked_at_and_one_at_it_is_not() -> None:
    limits = Limits(review_above=5_000_000)

    assert screen(Money(amount=5_000_000, currency="CNY"), limits) == ()
    assert screen(Money(amount=5_000_001, currency="CNY"), limits) == ("50000.01 CNY is above 50000.00 CNY",)
