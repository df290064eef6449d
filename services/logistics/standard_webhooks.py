"""Signatures of webhooks by the Standard Webhooks specification (https://www.standardwebhooks.com)."""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

PREFIX = "whsec_"

SHORTEST = 24
"""Bytes of a key, as the specification asks: with none at all anybody can sign."""

TOLERANCE = timedelta(minutes=5)
"""An older webhook may be a replay; within it, the notification's id is remembered."""


class NotSigned(ValueError):
    """The webhook does not prove that it comes from whom it should, now."""


def keys(secrets: str) -> tuple[bytes, ...]:
    """The keys behind one or several secrets with commas between. Raises ValueError for what is not a secret."""
    return tuple(_key(secret.strip()) for secret in secrets.split(","))


def _key(secret: str) -> bytes:
    if not secret.startswith(PREFIX):
        raise ValueError(f"a webhook secret starts with {PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a webhook secret is base64 after {PREFIX}") from error
    if len(key) < SHORTEST:
        raise ValueError(f"a webhook secret has at least {SHORTEST} bytes, in base64 after {PREFIX}")
    return key


def verify(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """The notification's id, the same each time it is sent. Raises NotSigned.

    The header may hold several signatures and there may be several keys: that is how a secret is changed without a gap.
    """
    id, sent, signatures = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not 0 < len(id) <= 256 or not sent.isdecimal() or len(sent) > 12:
        raise NotSigned("webhook-id and webhook-timestamp are needed")
    if abs(now.timestamp() - int(sent)) > TOLERANCE.total_seconds():
        raise NotSigned("webhook-timestamp is not within five minutes of now")
    signed = f"{id}.{sent}.".encode() + body
    expected = [b"v1," + base64.b64encode(hmac.digest(key, signed, sha256)) for key in keys]
    given = [signature.encode() for signature in signatures.split()]
    # in constant time: how long it takes says nothing of how near a guess was
    if not any(hmac.compare_digest(one, other) for one in expected for other in given):
        raise NotSigned("webhook-signature is not ours")
    return id
