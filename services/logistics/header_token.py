"""Webhooks that are proven by a token in a header: DHL's Shipment Tracking Unified Push signs nothing, it sends what the
subscription says (`"authentication": {"type": "ApiKeyAuthentication", "header": "webhook-token", "token": "…"}`)."""

import hmac
from collections.abc import Sequence
from hashlib import sha256

from services.logistics.standard_webhooks import NotSigned

HEADER = "webhook-token"

SHORTEST = 32
"""Characters. A token is all that keeps a stranger from telling of scans."""


def tokens(secrets: str) -> tuple[bytes, ...]:
    """One or several tokens with commas between. Raises ValueError for what is too short for one."""
    found = tuple(secret.strip().encode() for secret in secrets.split(","))
    if any(len(token) < SHORTEST for token in found):
        raise ValueError(f"a webhook token has at least {SHORTEST} characters")
    return found


def verify(tokens: Sequence[bytes], given: str, body: bytes) -> str:
    """What the notification is known by: it has no id, so it is what it says. Raises NotSigned."""
    # in constant time, as with signatures
    if not any(hmac.compare_digest(given.encode(), token) for token in tokens):
        raise NotSigned(f"{HEADER} is not ours")
    return f"sha256-{sha256(body).hexdigest()}"
