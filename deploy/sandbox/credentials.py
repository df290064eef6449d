"""Checking what a caller presents, in a time that does not depend on how much of it is right."""

import base64
import binascii
import hmac

from fastapi import Request


def is_bearer(request: Request, secret: str) -> bool:
    """Whether the caller sent `Authorization: Bearer <secret>`."""
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and _same(presented.strip(), secret)


def is_basic(request: Request, username: str, password: str) -> bool:
    """Whether the caller sent this name and password by HTTP Basic authentication."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        presented = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    # One comparison of both, so that a right name with a wrong password takes no longer than a wrong name.
    return _same(presented, f"{username}:{password}")


def _same(presented: str, expected: str) -> bool:
    return hmac.compare_digest(presented.encode(), expected.encode())
