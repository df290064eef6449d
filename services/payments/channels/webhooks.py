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
from services.payments.channels.stripe import read_intent, read_refund
from services.payments.facts import Answer, Opened, Refused
from services.payments.refunds import RefundKey, Returned
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
class OfPayment:
    """What became of a payment."""

    payment_id: UUID
    answer: Answer


@dataclass(frozen=True, slots=True)
class OfRefund:
    """A refund came back."""

    key: RefundKey
    answer: Returned


@dataclass(frozen=True, slots=True)
class Notification:
    """One webhook. It tells nothing where it is of another type, or of what others made on the same Stripe account."""

    id: str
    type: str
    told: OfPayment | OfRefund | None = None


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
    object = event.data.object
    try:
        told = _of_refund(object) if event.type in _OF_REFUNDS else _of_payment(event.type, object)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAWebhook("data.object: not a checkout session, payment intent or refund as Stripe describes it") from error
    return Notification(event.id, event.type, told)


_OF_SESSIONS = frozenset(
    f"checkout.session.{what}" for what in ("completed", "async_payment_succeeded", "async_payment_failed", "expired")
)
_OF_REFUNDS = frozenset(["refund.failed", "refund.updated", "charge.refund.updated"])
"""All of them tell of the same; which come depends on the kind of refund, and on how old the account's version is."""
_TOLD = _OF_SESSIONS | _OF_REFUNDS | {"payment_intent.succeeded", "payment_intent.amount_capturable_updated"}
"""payment_intent.payment_failed is not heard: on Stripe's page the shopper may take another card."""


def _of_payment(type: str, told: dict[str, Any]) -> OfPayment | None:
    payment_id = _uuid(told["client_reference_id"] if type in _OF_SESSIONS else told["metadata"].get("payment_id"))
    return OfPayment(payment_id, _answer(type, told)) if payment_id else None


def _answer(type: str, told: dict[str, Any]) -> Answer:
    match type:
        case "checkout.session.async_payment_failed":  # such a session looks like one that is not paid yet
            return Refused("payment_failed")
        case "payment_intent.amount_capturable_updated":  # whether it may be captured is asked: its charge is not in here
            return Opened(told["id"])
        case "payment_intent.succeeded":
            return read_intent(told)
        case _:
            return read_session(told)


def _of_refund(told: dict[str, Any]) -> OfRefund | None:
    returned = read_refund(told)
    match told["metadata"]:
        case {"order_id": str(order_id), "refund_id": str(refund_id)} if returned:
            return OfRefund((order_id, refund_id), returned)
        case _:
            return None


def _uuid(text: Any) -> UUID | None:
    """What others made on the same Stripe account has references of their own."""
    try:
        return UUID(text)
    except (ValueError, TypeError, AttributeError):
        return None
