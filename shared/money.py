"""Money is an integer of minor units with its ISO 4217 currency; never a float."""

from decimal import Decimal
from functools import cache
from typing import Annotated

from babel.numbers import get_currency_precision, is_currency
from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _is_iso_4217(code: str) -> str:
    if not (len(code) == 3 and code.isupper() and is_currency(code)):
        raise ValueError("should be an ISO 4217 currency code such as CNY, USD or EUR")
    return code


Currency = Annotated[str, AfterValidator(cache(_is_iso_4217))]
"""An ISO 4217 alphabetic code, upper case."""

MOST = 10**15
"""The largest amount, in minor units. JSON readers that know numbers as doubles still read it exactly."""

MinorUnits = Annotated[int, Field(ge=0, le=MOST)]
"""An amount in the currency's minor unit: fen, cents; whole yen for JPY."""


class Money(BaseModel):
    """An amount of one currency. `{"amount": 59800, "currency": "CNY"}` is 598.00 yuan."""

    model_config = ConfigDict(frozen=True)

    amount: MinorUnits
    currency: Currency

    def __str__(self) -> str:
        return f"{to_major(self.amount, self.currency)} {self.currency}"


@cache
def exponent(currency: str) -> int:
    """How many decimals the currency has: 2 for CNY, 0 for JPY, 3 for KWD (Unicode CLDR, by way of Babel)."""
    return get_currency_precision(currency)


def to_major(amount: int, currency: str) -> Decimal:
    """59800 CNY minor units are 598.00."""
    return Decimal(amount).scaleb(-exponent(currency))


def to_minor(amount: Decimal, currency: str) -> int:
    """598.00 CNY is 59800 minor units; raises ValueError when the currency has no such fraction, or it is more than MOST."""
    minor = amount.scaleb(exponent(currency))
    if minor != minor.to_integral_value():
        raise ValueError(f"{amount} has more decimals than {currency} allows ({exponent(currency)})")
    if minor > MOST:
        raise ValueError(f"{amount} is more than {to_major(MOST, currency)} {currency}")
    return int(minor)
