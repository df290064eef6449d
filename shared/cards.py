"""Card numbers (PAN) must not come in. What looks like one is refused, and masked wherever bytes must be kept.

A number counts when a card network would issue it: 13 to 19 digits of the network's range and length whose check digit
(Luhn) is right, written as one or with spaces, dashes or dots between. Ours and other systems' numbers are as long:
identifiers are only looked at when they are written in groups, as on a card; a receipt's `reference` when it has the
length that nearly all cards have; telephone numbers with their + never.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import orjson

from shared.problems import Unprocessable

MASK = "[card number]"

IDENTIFIERS = frozenset(
    {
        *("id", "order_id", "refund_id", "payment_id", "shipment_id", "product_id", "sku", "waybill", "tracking_number"),
        *("subject", "correlationid", "causationid", "traceparent", "time"),
    }
)
"""Fields of long numbers that are nobody's card: shops' order numbers of 16 to 19 digits, EAN codes, waybills."""

_REFERENCE = "reference"
_USUAL = (15, 16)

_NETWORKS: Sequence[tuple[int, int, tuple[int, ...]]] = (
    (4, 4, (13, 16, 19)),  # Visa
    (51, 55, (16,)),  # Mastercard
    (2221, 2720, (16,)),  # Mastercard
    (34, 34, (15,)),  # American Express
    (37, 37, (15,)),  # American Express
    (62, 62, (16, 17, 18, 19)),  # UnionPay
    (81, 82, (16, 17, 18, 19)),  # UnionPay, RuPay
    (3528, 3589, (16, 17, 18, 19)),  # JCB
    (6011, 6011, (16, 17, 18, 19)),  # Discover
    (644, 659, (16, 17, 18, 19)),  # Discover
    (60, 60, (16,)),  # RuPay, Hipercard
    (300, 305, (14, 16, 19)),  # Diners Club
    (36, 36, (14, 16, 19)),  # Diners Club
    (38, 39, (14, 16, 19)),  # Diners Club
    (2200, 2204, (16, 17, 18, 19)),  # Mir
    (50, 50, (16, 19)),  # Maestro, Verve
    (56, 58, (16, 19)),  # Maestro
    (63, 63, (16, 18, 19)),  # Maestro
    (67, 69, (16, 18, 19)),  # Maestro
    (9792, 9792, (16,)),  # Troy
)

# a run of digits, at most two of these between them, and no letter or + beside it; a longer one is looked at piece by piece,
# because its search costs some hundred bytes of memory a digit
_RUN = re.compile(r"(?<![0-9A-Za-z])(\+?)(\d(?:[ \u00a0\u2009\u202f_.\-\u2010-\u2015]{0,2}\d){12,64})(?![0-9A-Za-z])")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LONGEST_PHONE = 15
_PLAIN = re.compile(
    rb'"(?:\+[1-9][0-9]{6,14}'  # a telephone number
    rb"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # a UUID
    rb'|00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})"'  # a traceparent
)


def _other_digits() -> re.Pattern[bytes]:
    """The digits of other scripts, in UTF-8: of each block of sixty-four the first bytes, and the range of the last."""
    ends: dict[bytes, list[int]] = {}
    for code in range(128, 0x20000):  # beyond, Unicode has no digits
        if unicodedata.category(chr(code)) == "Nd":
            *begin, end = chr(code).encode()
            ends.setdefault(bytes(begin), []).append(end)
    return re.compile(b"|".join(re.escape(begin) + b"[" + re.escape(bytes(last)) + b"]" for begin, last in ends.items()))


_OTHER_DIGIT = _other_digits()
_ASCII = bytes(range(128))

# every digit becomes 0 and everything else x; what may stand between digits is dropped
_DIGITS = bytes(ord("0") if chr(byte).isdigit() and byte < 128 else ord("x") for byte in range(256))
_BETWEEN = b" -._"
_SHORTEST = b"0" * 13


def may_hold_one(body: bytes) -> bool:
    """Whether it is worth the while to look: a pass over the bytes that costs next to nothing and misses none that is
    written plainly. Digits may also hide in escapes, in other scripts, and behind spaces of other kinds."""
    if (_has_long_number(body) and _has_long_number(_PLAIN.sub(b"", body))) or b"\\u" in body:
        return True
    if body.isascii():
        return False
    return b"\xe2\x80" in body or b"\xc2\xa0" in body or _OTHER_DIGIT.search(body.translate(None, _ASCII)) is not None


def _has_long_number(body: bytes) -> bool:
    return _SHORTEST in body.translate(_DIGITS, _BETWEEN)


def where(value: Any, name: str = "") -> str | None:
    """The path of the first card number in a JSON value, or None. Never the number itself."""
    if isinstance(value, str):
        return "" if len(value) >= len(_SHORTEST) and any(_is_a_card(run, name) for run in _RUN.finditer(value)) else None
    if isinstance(value, dict):
        for key, each in value.items():
            if len(key) >= len(_SHORTEST) and masked_text(key) != key:
                return MASK
            if (place := where(each, key)) is not None:
                return f"{key[:64]}.{place}".rstrip(".")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            if (place := where(each, name)) is not None:
                return f"{index}.{place}".rstrip(".")
    elif isinstance(value, int | float) and not isinstance(value, bool) and _is_card(_written(value), name):
        return ""
    return None


def masked(value: Any, name: str = "") -> Any:
    """The JSON value with every card number in it replaced."""
    if isinstance(value, dict):
        return {masked_text(key): masked(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [masked(each, name) for each in value]
    if isinstance(value, str):
        return masked_text(value, name)
    if isinstance(value, int | float) and _is_card(_written(value), name):
        return MASK
    return value


def masked_text(text: str, name: str = "") -> str:
    """The text with every card number in it replaced."""
    return _RUN.sub(lambda run: run[0] if not _is_a_card(run, name) else MASK, text)


def masked_bytes(body: bytes) -> bytes:
    """A message as it may be kept: unchanged unless there is a card number in it."""
    if not may_hold_one(body):
        return body
    try:
        value = orjson.loads(body)
        return body if where(value) is None else orjson.dumps(masked(value))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):  # no JSON, or too deep to be walked
        return masked_unread(body)


def masked_unread(body: bytes) -> bytes:
    """As `masked_bytes`, of what must not be read: as JSON it may take many times its size."""
    text = body.decode(errors="replace")
    hidden = masked_text(text)
    return body if hidden == text else hidden.encode()


def refuse(body: bytes) -> None:
    """Raises Unprocessable for a body that holds a card number. It says where, and repeats nothing of it."""
    if not may_hold_one(body):
        return
    try:
        place = where(orjson.loads(body))
    except orjson.JSONDecodeError:
        place = where(body.decode(errors="replace"))
    if place is not None:
        raise Unprocessable(
            f"{place or 'body'}: looks like a card number, which must not be sent here: send the token of the payment form",
            reason="card_number",
        )


def _written(number: float) -> str:
    """4111111111111111.0 is a card number too."""
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)


def _is_a_card(run: re.Match[str], name: str) -> bool:
    if _UUID.fullmatch(run.string):
        return False
    digits = "".join(str(unicodedata.digit(each)) for each in run[2] if each.isdigit())
    if run[1] and len(digits) <= _LONGEST_PHONE:
        return False
    return _is_card(digits, name, in_groups=len(digits) < len(run[2]))


def _is_card(digits: str, name: str, *, in_groups: bool = False) -> bool:
    if not (13 <= len(digits) <= 19 and digits.isdecimal()):
        return False
    if name in IDENTIFIERS and not in_groups:
        return False
    if name == _REFERENCE and not in_groups and len(digits) not in _USUAL:
        return False
    return _is_of_a_network(digits) and _luhn(digits)


def _is_of_a_network(digits: str) -> bool:
    return any(len(digits) in lengths and first <= int(digits[: len(str(first))]) <= last for first, last, lengths in _NETWORKS)


def _luhn(digits: str) -> bool:
    odd = sum(int(each) for each in digits[-1::-2])
    even = sum(sum(divmod(2 * int(each), 10)) for each in digits[-2::-2])
    return (odd + even) % 10 == 0
