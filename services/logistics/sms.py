"""Text messages by Twilio (https://www.twilio.com/docs/messaging/api/message-resource). A message asked for twice is
sent twice there, so after an answer that never came we look for it before we send it again."""

from functools import cache
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError

from services.logistics.settings import settings
from services.logistics.shipping import Answer, StillAtIt, Told, Unknown
from shared import tls
from shared.partners import Partner, PartnerRefused, PartnerSilent, PartnerUnknown

log = structlog.get_logger()

LOOKED_AT = 50
"""Messages to one number, the newest first: ours is minutes old at most."""

NOT_TO_BE_REACHED = frozenset({21211, 21214, 21217, 21265, 21266, 21268, 21408, 21610, 21612, 21614, 21635})
"""Twilio's codes (https://www.twilio.com/docs/api/errors) for a number that is none, a landline, a short code, a premium rate,
ours, unsubscribed, or in a country that is not sent to or not by our sender. Others are of us (21212 or 21606: our sender):
they pass when our account is in order again."""


class _Message(BaseModel):
    body: str | None


class _Sent(BaseModel):
    messages: list[_Message]


def is_offered() -> bool:
    """Whether there is anybody to send text messages."""
    return settings().twilio_url is not None


async def send(phone: str, text: str) -> Answer:
    """Told by sms; by the app when the number cannot be reached that way."""
    if not is_offered():
        return Told("app")
    try:
        await _twilio().call("POST", _messages(), data={"To": phone, "From": settings().twilio_from, "Body": text})
    except PartnerRefused as refusal:
        return Told("app") if (code := _code(refusal.body)) in NOT_TO_BE_REACHED else _not_us(refusal.status, code)
    except PartnerSilent:
        return StillAtIt()
    except PartnerUnknown:
        return Unknown()
    return Told("sms")


async def find(phone: str, tracking_number: str) -> Answer | None:
    """Told, when the number has been sent to the phone before; None when it has not."""
    if not is_offered():
        return None
    try:
        answer = await _twilio().call("GET", _messages(), params={"To": phone, "PageSize": LOOKED_AT})
        sent = _Sent.model_validate(answer).messages
    except PartnerRefused as refusal:
        return _not_us(refusal.status, _code(refusal.body))
    except (PartnerUnknown, ValidationError):
        return Unknown()
    return Told("sms") if any(tracking_number in (message.body or "") for message in sent) else None


def _messages() -> str:
    return f"/2010-04-01/Accounts/{settings().twilio_account_sid}/Messages.json"


def _code(refusal: Any) -> int | None:
    code = refusal.get("code") if isinstance(refusal, dict) else None
    return code if isinstance(code, int) else None


def _not_us(status: int, code: int | None) -> Unknown:
    log.error("Twilio refuses us, not the number; it will be asked again", status=status, code=code)
    return Unknown()


@cache
def _twilio() -> Partner:
    told = settings()
    auth = (told.twilio_account_sid, told.twilio_auth_token.get_secret_value())
    return Partner(
        "twilio",
        told.twilio_url or "",
        tls.outward(told),
        timeout=told.partner_timeout,
        at_a_time=told.partner_calls,
        auth=auth,
        says_no_by=403,  # it also refuses numbers by it
    )
