"""A partner over real sockets: silent for a while, and back."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import structlog
from prometheus_client import REGISTRY

from services.payments.channels.stripe import Stripe
from shared import partners, seldom
from shared.partners import Partner, PartnerRefused, PartnerUnknown

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"

TIMEOUT = 0.1
"""Seconds a call may take."""


class Silent:
    """A server that answers about when callers give it up, until it is told to be quick."""

    def __init__(self) -> None:
        self.is_quick = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; half of them are closed after an answer."""
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                if not self.is_quick:
                    await asyncio.sleep(TIMEOUT * random.uniform(0.5, 1.5))
                writer.write(ANSWER)
                await writer.drain()
                if not self.is_quick and random.random() < 0.5:
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def silent() -> AsyncIterator[tuple[Silent, Partner]]:
    there = Silent()
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    partner = Partner("twilio", f"http://127.0.0.1:{port}", ssl.create_default_context(), timeout=TIMEOUT, at_a_time=8)
    yield there, partner
    await partner.close()
    server.close()


async def answers(partner: Partner) -> bool:
    """Whether one call is answered."""
    try:
        return bool(await partner.call("GET", "/") == {})
    except PartnerUnknown:
        return False


async def test_as_many_calls_go_on_at_a_time_after_a_silence_as_before_it(silent: tuple[Silent, Partner]) -> None:
    there, partner = silent
    for _ in range(12):
        await asyncio.gather(*(answers(partner) for _ in range(16)))

    there.is_quick = True

    while not all(await asyncio.gather(*(answers(partner) for _ in range(8)))):
        await asyncio.sleep(0.02)


class Answering:
    """A server that gives everybody the same answer, and keeps the first line of what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[0])
        writer.write(self.answer)
        writer.close()


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[tuple[Answering, str]]:
    """It, and its address."""
    there = Answering(answer)
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    async with server:
        yield there, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await partners.close()


async def test_an_answer_that_is_longer_than_any_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partners, "MAX_ANSWER_BYTES", 1000)
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 1001) as (_, url):
        with pytest.raises(PartnerUnknown, match="TooLarge"):
            await Partner("twilio", url, ssl.create_default_context()).call("GET", "/")


async def test_nobody_sends_us_elsewhere() -> None:
    answer = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n"
    async with answering(answer) as (there, url):
        with pytest.raises(PartnerUnknown, match="307"):
            await Partner("twilio", url, ssl.create_default_context()).call("POST", "/here", data={"a": "b"})
    assert there.asked == ["POST /here HTTP/1.1"]


async def test_calls_go_through_the_proxy_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(ANSWER) as (proxy, url):
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")

        assert await Partner("twilio", "http://partner.example/v1", ssl.create_default_context()).call("GET", "/thing") == {}
        assert proxy.asked == ["GET http://partner.example/v1/thing HTTP/1.1"]

        assert await Partner("twilio", url, ssl.create_default_context()).call("GET", "/thing") == {}
        assert proxy.asked[1:] == ["GET /thing HTTP/1.1"]


def a_reply(status: int, body: bytes = b"{}") -> bytes:
    return b"HTTP/1.1 %d Whatever\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def counted(name: str, **labels: str) -> float:
    """What /metrics says; 0 of what has not been counted yet."""
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (a_reply(401), "401"),
        (a_reply(403), "403"),
        (a_reply(409), "409"),
        (a_reply(429), "429"),
        (a_reply(500), "5xx"),
        (a_reply(302), "3xx"),
        (a_reply(200, b"<html>"), "unknown"),
        (b"", "unknown"),
    ],
)
async def test_who_does_not_say_yes_or_no_is_counted_as_silent(reply: bytes, outcome: str) -> None:
    def calls() -> float:
        return counted("orderbus_partner_call_duration_seconds_count", partner="dhl", outcome=outcome)

    before = calls()
    async with answering(reply) as (_, url):
        partner = Partner("dhl", url, ssl.create_default_context())
        for _ in range(3):
            with pytest.raises((PartnerUnknown, PartnerRefused)):
                await partner.call("GET", "/")

    assert calls() - before == 3
    assert counted("orderbus_partner_failures_in_a_row", partner="dhl") == 3


@pytest.mark.parametrize("status", [200, 400, 402, 404, 422])
async def test_a_yes_or_a_no_ends_the_silence(status: int) -> None:
    async with answering(a_reply(500)) as (there, url):
        partner = Partner("dhl", url, ssl.create_default_context())
        with pytest.raises(PartnerUnknown):
            await partner.call("GET", "/")
        there.answer = a_reply(status)
        with suppress(PartnerRefused):
            await partner.call("GET", "/")

    assert counted("orderbus_partner_failures_in_a_row", partner="dhl") == 0


async def test_a_number_that_twilio_refuses_by_403_is_no_silence() -> None:
    async with answering(a_reply(403)) as (_, url):
        twilio = Partner("twilio", url, ssl.create_default_context(), says_no_by=403)
        with pytest.raises(PartnerRefused):
            await twilio.call("GET", "/")

    assert counted("orderbus_partner_failures_in_a_row", partner="twilio") == 0


async def test_the_log_says_who_is_silent_and_how_and_is_not_drowned_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def calls(number: int) -> list[tuple[str, str, int]]:
        with structlog.testing.capture_logs() as logs:
            for _ in range(number):
                with suppress(PartnerUnknown):
                    await stripe.get("/v1/payment_intents/pi_1")
        return [(line["name"], line["status"], line["count"]) for line in logs]

    body = b'{"error": {"type": "invalid_request_error", "message": "Invalid API Key provided."}}'
    async with answering(a_reply(401, body)) as (there, url):
        stripe = Stripe(Partner("stripe", url, ssl.create_default_context()))
        assert await calls(20) == [("stripe", "401", 1)]
        monkeypatch.setattr(seldom, "EVERY", 0.0)
        assert await calls(1) == [("stripe", "401", 21)]
        there.answer = ANSWER
        assert await calls(1) == []
