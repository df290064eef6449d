"""The two ways in which our partners sign their webhooks."""

import base64
import hashlib
import hmac

from deploy.sandbox.settings import WHSEC


def stripe(secret: str, body: bytes, timestamp: int) -> dict[str, str]:
    """Stripe's header: hex HMAC-SHA256 over `<timestamp>.<body>`, keyed with the secret as it is written."""
    signed = b"%d.%s" % (timestamp, body)
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={timestamp},v1={digest}"}


def standard_webhooks(secret: str, message_id: str, body: bytes, timestamp: int) -> dict[str, str]:
    """The Standard Webhooks headers: base64 HMAC-SHA256 over `<id>.<timestamp>.<body>`, keyed with the decoded secret."""
    key = base64.b64decode(secret.removeprefix(WHSEC))
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{digest}"}
