"""Money is an integer of minor units with its ISO 4217 currency; never a float."""

from decimal import Decimal
from functools import cache
from typing import Annotated

from babel.numbers import is_currency
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict


def _is_iso_4217(code: str) -> str:
    if not (len(code) == 3 and code.isupper() and is_currency(code)):
        raise ValueError("should be an ISO 4217 currency code such as CNY, USD or EUR")
    return code


Currency = Annotated[str, AfterValidator(cache(_is_iso_4217))]
"""An ISO 4217 alphabetic code, upper case."""

MOST = 10**15
"""The largest amount, in minor units. JSON readers that know numbers as doubles still read it exactly."""

MinorUnits = Annotated[int, Strict(), Field(ge=0, le=MOST)]
"""An amount in the currency's minor unit: fen, cents; whole yen for JPY. A JSON number without decimals: of 299.0 nobody can tell
whether it means 299 fen or yuan."""


class Money(BaseModel):
    """An amount of one currency. `{"amount": 59800, "currency": "CNY"}` is 598.00 yuan."""

    model_config = ConfigDict(frozen=True)

    amount: MinorUnits
    currency: Currency

    def __str__(self) -> str:
        return f"{to_major(self.amount, self.currency)} {self.currency}"


_ISO_4217 = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_WHOLE_HERE = "AFN ALL IQD IRR KPW LAK LBP MGA MMK RSD SOS SYP YER ADP BYR ESP ITL LUF MGF MRO SLL STD TMM TRL ZMK ZWD"
"""Counted in whole ones since 0.1.0, which took its decimals from Unicode CLDR, where ISO 4217 says 2 (3 for IQD); from ADP on
they are withdrawn. What is kept in them must not change its meaning: docs/decisions/0006-money-as-integers.md."""

_EXPONENTS = {code: decimals for decimals, codes in (*_ISO_4217.items(), (0, _WHOLE_HERE)) for code in codes.split()}


def exponent(currency: str) -> int:
    """How many decimals the currency has: 2 for CNY, 0 for JPY, 3 for KWD. Written down here: no new version of a library may
    change what a kept amount is worth."""
    return _EXPONENTS.get(currency, 2)


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
