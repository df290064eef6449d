"""What events are made of: order ids, SKUs, lines, people and places."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, StringConstraints
from pydantic_core import PydanticCustomError

from shared.money import Currency, MinorUnits

OrderId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]
"""An order's id: ours, or the shop's own; letters, digits and `._:-`, up to 64 characters."""

Sku = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A stock keeping unit: letters, digits and `._-`, up to 64 characters."""

Quantity = Annotated[int, Strict(), Field(ge=1, le=100_000)]
"""Pieces: a JSON number. A text or `true` is another's mistake, and would pass for a number with whoever is less strict."""


MAX_LINES = 200
"""More lines than any shopper's basket; an order with more is refused, so that one order cannot fill a batch."""


def text(longest: int, shortest: int = 1) -> StringConstraints:
    """A line of text. No control characters: Postgres keeps no NUL, and a label prints none of them."""
    return StringConstraints(min_length=shortest, max_length=longest, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]*$")


LONGEST_REASON = 500


def one_line(words: str) -> str:
    """A partner's words as they may be kept: in a line without control characters, and no longer than a reason."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", words).split())[:LONGEST_REASON]


def _if_words(reason: object) -> object:
    return one_line(reason) if isinstance(reason, str) else reason


Reason = Annotated[str, BeforeValidator(_if_words), StringConstraints(min_length=1, max_length=LONGEST_REASON)]
"""Why, in words a person reads. Often a partner's own words, so it is cut to fit instead of refused."""


def _without_nul(text: str) -> str:
    if "\0" in text:  # Postgres keeps none
        raise ValueError("should have no NUL character")
    return text


class Part(BaseModel):
    """A frozen part of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class OrderedLine(Part):
    """What is wanted, before it is priced."""

    sku: Sku
    quantity: Quantity


class Line(OrderedLine):
    """What is wanted, at the price that was agreed; `unit_price` in minor units of the order's currency."""

    unit_price: MinorUnits

    @property
    def amount(self) -> int:
        return self.quantity * self.unit_price


class Customer(Part):
    """Who bought. `phone` in E.164 form (+8613800000000)."""

    name: Annotated[str, text(200)]
    phone: Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")] | None = None
    email: (
        Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254), AfterValidator(_without_nul)] | None
    ) = None


class Address(Part):
    """Where the parcel goes. `country` is ISO 3166-1 alpha-2."""

    name: Annotated[str, text(200)]
    phone: Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")] | None = None
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    province: Annotated[str, text(200, 0)] = ""
    city: Annotated[str, text(200)]
    line1: Annotated[str, text(300)]
    line2: Annotated[str, text(300, 0)] = ""
    postcode: Annotated[str, text(20, 0)] = ""


class PaymentChoice(Part):
    """How the shopper pays: a channel and the token that the channel's own form gave. Never a card number. `card` takes a payment
    method of Stripe's (`pm_…`) or a token (`tok_…`)."""

    channel: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")]
    token: Annotated[str, text(200)] | None = None


class PaymentReceipt(Part):
    """How the shopper has paid: the channel and its own reference."""

    channel: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")]
    reference: Annotated[str, text(200)]


class Allocation(Part):
    """From which location a line, or a part of it, will be shipped."""

    sku: Sku
    location: str
    quantity: Quantity


def _counted(lines: object) -> object:
    if isinstance(lines, list | tuple) and not 0 < len(lines) <= MAX_LINES:
        raise PydanticCustomError("lines", f"should have 1 to {MAX_LINES} lines, not {len(lines)}")
    return lines


# pydantic counts the good ones only: a bad line would be one too few as well, and a million bad ones as many errors, of a
# gigabyte and a half
Some = BeforeValidator(_counted)
SOME_IN_JSON = Field(json_schema_extra={"minItems": 1, "maxItems": MAX_LINES})

Lines = Annotated[tuple[Line, ...], Some, SOME_IN_JSON]
OrderedLines = Annotated[tuple[OrderedLine, ...], Some, SOME_IN_JSON]

__all__ = [
    "MAX_LINES",
    "Address",
    "Allocation",
    "Currency",
    "Customer",
    "Line",
    "Lines",
    "MinorUnits",
    "OrderId",
    "OrderedLine",
    "OrderedLines",
    "PaymentChoice",
    "PaymentReceipt",
    "Quantity",
    "Reason",
    "Sku",
]
