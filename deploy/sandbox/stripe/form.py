"""Stripe's request parameters: form-encoded, nested by brackets (`metadata[order_id]=A-1`)."""

import re
from urllib.parse import parse_qsl, urlsplit

from deploy.sandbox.stripe import errors

MOST_FIELDS = 500
LARGEST_AMOUNT = 99_999_999
"""Stripe takes amounts of at most eight digits."""
THREE_DECIMALS = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
"""Their amounts are in thousandths, the last digit 0."""


class Form:
    """Parameters by their bracketed names. What is missing or malformed raises StripeError naming the parameter."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._fields = dict(pairs)
        self.pairs = tuple(sorted(pairs))
        """All of them, in an order that does not depend on how they were sent."""

    @classmethod
    def parse(cls, encoded: bytes) -> "Form":
        try:
            return cls(parse_qsl(encoded.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
        except ValueError as error:
            raise errors.invalid("", "The request is not form-encoded, or has too many parameters.") from error

    def text(self, name: str, default: str = "") -> str:
        return self._fields.get(name, default)

    def required(self, name: str) -> str:
        value = self._fields.get(name, "")
        if not value:
            raise errors.missing(name)
        return value

    def flag(self, name: str) -> bool:
        return self.text(name) == "true"

    def amount(self, name: str, currency: str) -> int:
        """A positive amount in the currency's minor units."""
        value = self.integer(name)
        if value > LARGEST_AMOUNT:
            raise errors.invalid(name, f"Amount must be no more than {LARGEST_AMOUNT}.", "amount_too_large")
        if currency in THREE_DECIMALS and value % 10:
            raise errors.invalid(name, f"The last digit of an amount in {currency} must be 0.", "parameter_invalid_integer")
        return value

    def integer(self, name: str) -> int:
        """A whole number above zero."""
        value = self.required(name)
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise errors.invalid(name, f"Invalid integer: {value}", "parameter_invalid_integer")
        if int(value) < 1:
            raise errors.invalid(name, f"{name} must be greater than or equal to 1.", "parameter_invalid_integer")
        return int(value)

    def currency(self, name: str) -> str:
        value = self.required(name).lower()
        if not re.fullmatch(r"[a-z]{3}", value):
            raise errors.invalid(name, f"Invalid currency: {value}")
        return value

    def url(self, name: str) -> str:
        """An http or https address; nothing that a browser would run."""
        value = self.required(name)
        if urlsplit(value).scheme not in ("http", "https"):
            raise errors.invalid(name, "Not a valid URL", "url_invalid")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """One of these; the first if it is left out."""
        value = self.text(name, allowed[0])
        if value not in allowed:
            raise errors.invalid(name, f"Invalid {name}: must be one of {', '.join(allowed)}")
        return value

    def group(self, name: str) -> dict[str, str]:
        """`metadata[a]=1&metadata[b]=2` as {"a": "1", "b": "2"}."""
        start = f"{name}["
        return {
            field[len(start) : -1]: value
            for field, value in self._fields.items()
            if field.startswith(start) and field.endswith("]")
        }

    def rows(self, name: str) -> list[str]:
        """The names `line_items[0]`, `line_items[1]`, … under which a list's rows were sent, in order."""
        row = re.compile(rf"{re.escape(name)}\[(\d{{1,3}})\]\[")
        numbers = {int(found[1]) for field in self._fields if (found := row.match(field))}
        return [f"{name}[{number}]" for number in sorted(numbers)]

    def expands(self, name: str) -> bool:
        """Whether the caller asked for this field whole (`expand[]=latest_charge`)."""
        return any(field.startswith("expand[") and value == name for field, value in self.pairs)
