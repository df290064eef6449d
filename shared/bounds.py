"""How much anyone may send at a time: bounds that are checked before the cost of reading is paid."""

import re

from shared.problems import TooLarge, Unprocessable

MAX_BODY = 1024 * 1024
"""Bytes of a request's body."""

MAX_DEPTH = 32
"""Arrays and objects in one another; our deepest body has five."""

MAX_ITEMS = 100_000
"""Values in a body, by its commas and brackets; a batch of fifty orders of 200 lines has some 40,000."""

MAX_HEAD = 64 * 1024
"""Bytes of a request's first line and headers."""

HEAD_PATIENCE = 20.0
"""Seconds for a request's first line and headers to come."""

BODY_PATIENCE = 30.0
"""Seconds for a request's body to come."""

REST_PATIENCE = 5.0
"""Seconds for the rest of a request to come that is answered already."""

WRITE_PATIENCE = 30.0
"""Seconds for a client that is behind to take what was written to it."""

MAX_QUERY = 4096
"""Bytes of a request's query."""

# a whole text, so that brackets in it do not count, or one bracket
_TEXT_OR_BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)


def check_json(body: bytes) -> None:
    """Raises for a body that would cost much to read, whether it is JSON or not."""
    openings = body.count(b"[") + body.count(b"{")
    if openings + body.count(b",") > MAX_ITEMS:
        raise TooLarge(f"the request body may hold {MAX_ITEMS} values")
    if openings > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise Unprocessable(f"body: arrays and objects may be {MAX_DEPTH} deep")


def _depth(body: bytes) -> int:
    depth = deepest = 0
    for found in _TEXT_OR_BRACKET.finditer(body):
        match found[0][:1]:
            case b"[" | b"{":
                depth += 1
                deepest = max(deepest, depth)
                if deepest > MAX_DEPTH:
                    break
            case b"]" | b"}":
                depth -= 1
    return deepest
