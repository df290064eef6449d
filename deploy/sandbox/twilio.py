"""Twilio's Messages API, as much of it as the product uses, with outcomes chosen by telephone number."""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Query, Request, Response

from deploy.sandbox import bodies, credentials, identifiers
from deploy.sandbox.faults import Faults
from deploy.sandbox.holding import hold
from deploy.sandbox.json_answers import Document, json_answer
from deploy.sandbox.pace import Pace
from deploy.sandbox.settings import Settings

HELD_NUMBER = "+10000000408"
FAILS_ONCE_NUMBER = "+10000000500"
LONGEST_BODY = 1600

NUMBER = r"\+[1-9][0-9]{6,14}"
SENDER = rf"{NUMBER}|[0-9]{{3,8}}|(?=.*[A-Za-z])[A-Za-z0-9 +_&-]{{1,11}}"
"""A number, a short code, or a name (https://www.twilio.com/docs/glossary/what-alphanumeric-sender-id)."""


class TwilioError(Exception):
    """An answer that is not a success, in Twilio's shape: `{"code", "message", "more_info", "status"}`."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.document: Document = {
            "code": code,
            "message": message,
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        }


@dataclass(frozen=True, slots=True)
class Message:
    """A text message that a shopper would have received."""

    sid: str
    account_sid: str
    to: str
    sender: str
    body: str
    created: str

    def document(self) -> Document:
        """The message resource."""
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": self.created,
            "date_sent": None,
            "date_updated": self.created,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": self.sender,
            "messaging_service_sid": None,
            "num_media": "0",
            "num_segments": "1",
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": "queued",
            "to": self.to,
            "uri": f"/2010-04-01/Accounts/{self.account_sid}/Messages/{self.sid}.json",
        }


class Outbox:
    """Every message, oldest first. As at Twilio, the same text sent twice is two messages."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._to: defaultdict[str, list[Message]] = defaultdict(list)

    def add(self, message: Message) -> None:
        self._messages.append(message)
        self._to[message.to].append(message)

    def all(self) -> list[Message]:
        return list(self._messages)

    def to(self, number: str) -> list[Message]:
        return list(self._to.get(number, ()))


def api(settings: Settings, outbox: Outbox, faults: Faults, pace: Pace) -> APIRouter:
    """The routes under /twilio."""
    account_sid = settings.twilio_account_sid
    failed_once: set[str] = set()

    async def admits(sid: str, request: Request) -> None:
        if not credentials.is_basic(request, account_sid, settings.twilio_auth_token.get_secret_value()):
            raise TwilioError(401, 20003, "Authenticate")
        if sid != account_sid:
            raise TwilioError(404, 20404, f"The requested resource {request.url.path} was not found")
        if await faults.strikes("twilio"):
            raise _server_error()

    router = APIRouter(prefix="/twilio/2010-04-01/Accounts/{sid}", tags=["twilio"], dependencies=[Depends(admits)])

    @router.post("/Messages.json")
    async def send(request: Request) -> Response:
        message = _parse(await bodies.read(request), account_sid)
        if message.to == FAILS_ONCE_NUMBER and message.body not in failed_once:
            failed_once.add(message.body)
            raise _server_error()
        outbox.add(message)
        if message.to == HELD_NUMBER:
            await hold(request, pace.hold)
        return json_answer(message.document(), 201)

    @router.get("/Messages.json")
    async def list_messages(
        to: Annotated[str, Query(alias="To")] = "",
        page_size: Annotated[int, Query(alias="PageSize", ge=1, le=1000)] = 50,
        page: Annotated[int, Query(alias="Page", ge=0)] = 0,
    ) -> Response:
        found = outbox.to(to) if to else outbox.all()
        found.reverse()
        shown = found[page * page_size : (page + 1) * page_size]
        path = f"/2010-04-01/Accounts/{account_sid}/Messages.json?PageSize={page_size}"
        more = (page + 1) * page_size < len(found)
        return json_answer(
            {
                "messages": [message.document() for message in shown],
                "page": page,
                "page_size": page_size,
                "uri": f"{path}&Page={page}",
                "next_page_uri": f"{path}&Page={page + 1}" if more else None,
            }
        )

    return router


def _parse(body: bytes, account_sid: str) -> Message:
    try:
        fields = dict(parse_qsl(body.decode(), max_num_fields=100))
    except ValueError as error:
        raise TwilioError(400, 21000, "The request is not form-encoded") from error
    to, sender, text = fields.get("To", ""), fields.get("From", ""), fields.get("Body", "")
    if not re.fullmatch(NUMBER, to):
        raise TwilioError(400, 21211, f"The 'To' number {to} is not a valid phone number.")
    if not sender:
        raise TwilioError(400, 21603, "A 'From' phone number is required.")
    if not re.fullmatch(SENDER, sender):
        raise TwilioError(
            400, 21212, f"The 'From' number {sender} is not a valid phone number, shortcode, or alphanumeric sender ID."
        )
    if not text:
        raise TwilioError(400, 21602, "Message body is required.")
    if len(text) > LONGEST_BODY:
        raise TwilioError(400, 21617, f"The concatenated message body exceeds the {LONGEST_BODY} character limit.")
    return Message(identifiers.new_sid("SM"), account_sid, to, sender, text, format_datetime(datetime.now(UTC)))


def _server_error() -> TwilioError:
    return TwilioError(500, 20500, "Internal Server Error")
