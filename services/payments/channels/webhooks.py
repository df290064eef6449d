"""Stripe's webhooks (https://docs.stripe.com/webhooks): who signed them, and what they say."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ValidationError

from services.payments.channels.redirect import read_session
from services.payments.facts import Answer, Refused
from shared.codec import explain
from shared.events.fields import text
from shared.problems import Problem

TOLERANCE = timedelta(minutes=5)
"""A webhook signed longer ago may be a replay; Stripe signs each attempt afresh."""


class BadSignature(Problem):
    """Not signed by Stripe, or not just now."""


class NotAWebhook(Problem):
    """Signed by Stripe, and yet not an event."""


class _Data(BaseModel):
    object: dict[str, Any]


class _Event(BaseModel):
    """https://docs.stripe.com/api/events/object"""

    id: Annotated[str, text(255)]
    type: Annotated[str, text(255)]
    data: _Data


@dataclass(frozen=True, slots=True)
class Notification:
    """One webhook. `payment_id` and `answer` are set when it tells what became of a payment."""

    id: str
    type: str
    payment_id: UUID | None = None
    answer: Answer | None = None


def verify(signature: str, body: bytes, secrets: Sequence[str], now: datetime) -> None:
    """Raises BadSignature unless the body was signed with one of the secrets within the last five minutes."""
    parts = [part.partition("=") for part in signature.split(",")]
    times = [value for name, _, value in parts if name.strip() == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdecimal() and len(times[0]) <= 12):
        raise BadSignature("Stripe-Signature should be: t=<unix time>,v1=<signature>")
    if abs(now.timestamp() - int(times[0])) > TOLERANCE.total_seconds():
        raise BadSignature("the webhook was signed too long ago")
    signed = times[0].encode() + b"." + body
    expected = [hmac.new(secret.encode(), signed, sha256).hexdigest().encode() for secret in secrets]
    given = [value.strip().encode() for name, _, value in parts if name.strip() == "v1"]
    if not any(hmac.compare_digest(one, other) for one in expected for other in given):
        raise BadSignature("the webhook is not signed with our secret")


def read(body: bytes) -> Notification:
    """What a verified webhook says. Raises NotAWebhook."""
    try:
        event = _Event.model_validate_json(body)
    except ValidationError as error:
        raise NotAWebhook(f"not a Stripe event: {explain(error)}") from None
    if event.type not in _TOLD:
        return Notification(event.id, event.type)
    session = event.data.object
    try:
        payment_id = _uuid(session["client_reference_id"])
        return Notification(event.id, event.type, payment_id, _answer(event.type, session) if payment_id else None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAWebhook("data.object: not a checkout session as Stripe describes it") from error


_TOLD = frozenset(
    f"checkout.session.{what}" for what in ("completed", "async_payment_succeeded", "async_payment_failed", "expired")
)


def _answer(type: str, session: dict[str, Any]) -> Answer:
    """A failed session looks like one that is not paid yet: only the event's type tells."""
    return Refused("payment_failed") if type == "checkout.session.async_payment_failed" else read_session(session)


def _uuid(text: Any) -> UUID | None:
    """Sessions that others opened on the same Stripe account have references of their own."""
    try:
        return UUID(text)
    except (ValueError, TypeError, AttributeError):
        return None
