"""Stripe's own minor units (https://docs.stripe.com/currencies), which are not everywhere those of ISO 4217."""

from shared.money import Money, exponent

_NO_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
_THREE_DECIMALS = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
"""Of which the third has to be 0: cards know two."""


class NoSuchUnit(ValueError):
    """An amount that the other side cannot count."""


def to_stripe(money: Money) -> int:
    """The amount as Stripe counts it. Raises NoSuchUnit for a fraction that Stripe has no unit for."""
    shift = _exponent(money.currency) - exponent(money.currency)
    amount, rest = (money.amount * 10**shift, 0) if shift >= 0 else divmod(money.amount, 10**-shift)
    if rest or (money.currency in _THREE_DECIMALS and amount % 10):
        raise NoSuchUnit(f"Stripe has no unit as small as that of {money}")
    return int(amount)


def of_stripe(amount: int, currency: str) -> Money:
    """The money that Stripe means. Raises NoSuchUnit for a fraction that we have no unit for."""
    currency = currency.upper()
    shift = exponent(currency) - _exponent(currency)
    if shift >= 0:
        return Money(amount=amount * 10**shift, currency=currency)
    ours, rest = divmod(amount, 10**-shift)
    if rest:
        raise NoSuchUnit(f"{amount} of Stripe's units is a fraction of {currency}")
    return Money(amount=ours, currency=currency)


def _exponent(currency: str) -> int:
    return 0 if currency in _NO_DECIMALS else 3 if currency in _THREE_DECIMALS else 2
