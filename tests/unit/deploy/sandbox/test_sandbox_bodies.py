"""What a stand-in reads of a request."""

import pytest
from fastapi import Request
from starlette.types import Message

from deploy.sandbox import bodies


def a_request(*messages: Message) -> Request:
    coming = iter(messages)

    async def receive() -> Message:
        return next(coming)

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


BODY: list[Message] = [
    {"type": "http.request", "body": b"To=%2B86", "more_body": True},
    {"type": "http.request", "body": b"&Body=x", "more_body": False},
]


async def test_what_a_caller_sent_and_gave_up_is_not_carried_out() -> None:
    with pytest.raises(bodies.HungUpError):
        await bodies.read(a_request(*BODY, {"type": "http.disconnect"}))
