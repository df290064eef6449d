"""Text messages by Twilio (https://www.twilio.com/docs/messaging/api/message-resource). A message asked for twice is
sent twice there, so after an answer that never came we look for it before we send it again."""

from functools import cache

from services.logistics.settings import settings
from services.logistics.shipping import Answer, Told, Unknown
from shared import tls
from shared.partners import Partner, PartnerRefused, PartnerUnknown

LOOKED_AT = 50
"""Messages to one number, the newest first: ours is minutes old at most."""

BAD_NUMBER = frozenset({400, 422})
"""Other refusals are of us, not of the number: they pass when our account is in order again."""


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
        return Told("app") if refusal.status in BAD_NUMBER else Unknown()
    except PartnerUnknown:
        return Unknown()
    return Told("sms")


async def find(phone: str, tracking_number: str) -> Answer | None:
    """Told, when the number has been sent to the phone before; None when it has not."""
    if not is_offered():
        return None
    try:
        sent = await _twilio().call("GET", _messages(), params={"To": phone, "PageSize": LOOKED_AT})
    except (PartnerRefused, PartnerUnknown):
        return Unknown()
    return Told("sms") if any(tracking_number in message["body"] for message in sent["messages"]) else None


def _messages() -> str:
    return f"/2010-04-01/Accounts/{settings().twilio_account_sid}/Messages.json"


@cache
def _twilio() -> Partner:
    told = settings()
    auth = (told.twilio_account_sid, told.twilio_auth_token.get_secret_value())
    return Partner("twilio", told.twilio_url or "", tls.outward(told), timeout=told.partner_timeout, auth=auth)
