"""A partner over real sockets: silent for a while, and back."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from shared.partners import Partner, PartnerUnknown

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
    partner = Partner("twilio", f"http://127.0.0.1:{port}", timeout=TIMEOUT, in_flight=8)
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
