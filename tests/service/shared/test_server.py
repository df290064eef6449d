"""What a client of the HTTP server may not do, spoken to byte by byte: send without end, or wait without end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared import bounds
from shared.server import BoundedHttp
from tests.service.house import a_port, number_of, serving

DECLARED = b"POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"
CHUNKED = b"POST /read HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
LONG = b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n"


class Server:
    """Answers /read with the names of its headers, once it has come whole, /long with half a megabyte, and others at once."""

    def __init__(self) -> None:
        self.port = 0
        self.in_hand = 0
        self.may_answer = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.in_hand += 1
        body = b"no"
        if scope["path"] == "/read":
            while (message := await receive()).get("more_body"):
                pass
            body = b",".join(name for name, _ in scope["headers"]) if message["type"] == "http.request" else b""
        elif scope["path"] == "/long":
            body = b"x" * 512 * 1024
        elif scope["path"] == "/slow":
            await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
        self.in_hand -= 1


class Connection:
    """To the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, what: bytes) -> None:
        self._writer.write(what)

    async def answer(self) -> bytes:
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return await self._reader.readexactly(length)

    async def ended(self) -> None:
        """Returns when the server has closed it; whoever goes on writing hears of a reset."""
        try:
            while await self._reader.read(65_536):
                pass
        except ConnectionError:
            pass

    async def go_on_until_it_ends(self, piece: bytes, pause: float) -> int:
        """How many bytes were said by then."""
        said, ended = 0, asyncio.create_task(self.ended())
        while not ended.done():
            self.say(piece)
            said += len(piece)
            await asyncio.wait([ended], timeout=pause)
        return said

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    here, port = Server(), a_port()
    here.port = number_of(port)
    async with serving(here, port, http=BoundedHttp, lifespan="off"):
        yield here


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Connection]:
    connection = Connection(*await asyncio.open_connection("127.0.0.1", server.port))
    async with asyncio.timeout(20):
        yield connection
    connection.close()


def hasten(monkeypatch: pytest.MonkeyPatch, *waits: str) -> None:
    for name in waits:
        monkeypatch.setattr(bounds, name, 0.2)


async def test_headers_that_come_after_the_body_are_dropped(client: Connection) -> None:
    client.say(CHUNKED + b"x-after: 1\r\n\r\n")
    assert await client.answer() == b"host,transfer-encoding"

    client.say(CHUNKED + b"\r\n")
    assert await client.answer() == b"host,transfer-encoding"


@pytest.mark.parametrize("piece", [b"x-after: " + b"1" * 1000 + b"\r\n", b"x" * 1000], ids=["many", "one"])
@pytest.mark.parametrize("request_", [CHUNKED, CHUNKED.replace(b"/read", b"/unread")], ids=["read", "unread"])
async def test_headers_without_end_after_the_body_end_the_connection(client: Connection, request_: bytes, piece: bytes) -> None:
    client.say(request_)

    said = await client.go_on_until_it_ends(piece, pause=0.001)

    assert said < 100 * bounds.MAX_HEAD


async def test_a_body_in_small_pieces_is_no_header(client: Connection) -> None:
    client.say(CHUNKED.removesuffix(b"0\r\n"))
    for _ in range(20):
        client.say(b"1000\r\n" + b"x" * 0x1000 + b"\r\n" + b"1\r\nx\r\n" * 2000)
    client.say(b"0\r\n\r\n")

    assert await client.answer() == b"host,transfer-encoding"


async def test_the_rest_of_a_request_that_is_answered_may_come_for_some_time_only(
    client: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch, "REST_PATIENCE")
    client.say(DECLARED.replace(b"10", b"100000"))
    assert await client.answer() == b"no"

    await client.go_on_until_it_ends(b"x", pause=0.01)


async def test_a_request_that_comes_whole_after_its_answer_is_followed_by_another(client: Connection) -> None:
    client.say(DECLARED)
    assert await client.answer() == b"no"

    client.say(b"x" * 10 + DECLARED)
    assert await client.answer() == b"no"


async def test_a_body_that_does_not_come_is_not_waited_for_whoever_reads_it(
    client: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch, "BODY_PATIENCE", "REST_PATIENCE")
    client.say(CHUNKED.removesuffix(b"0\r\n"))

    await client.go_on_until_it_ends(b"1\r\nx\r\n", pause=0.01)


async def test_who_waits_for_an_answer_is_not_late_with_the_next_request(
    client: Connection, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch, "HEAD_PATIENCE", "BODY_PATIENCE", "REST_PATIENCE")
    late = told(monkeypatch, "_late")
    client.say(DECLARED.replace(b"/unread", b"/slow") + b"x" * 10 + DECLARED[:20])
    await late.wait()
    server.may_answer.set()

    assert await client.answer() == b"no"


async def test_who_never_reads_its_answers_is_let_go(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch, "WRITE_PATIENCE")
    lost = told(monkeypatch, "connection_lost")
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1)
    writer.write(LONG * 20)

    async with asyncio.timeout(20):
        await lost.wait()
        while server.in_hand:
            await asyncio.sleep(0.01)
    writer.close()


def told(monkeypatch: pytest.MonkeyPatch, name: str) -> asyncio.Event:
    """Set once the server has called this method of a connection's."""
    called, method = asyncio.Event(), getattr(BoundedHttp, name)

    def noted(connection: BoundedHttp, *arguments: Any) -> None:
        method(connection, *arguments)
        called.set()

    monkeypatch.setattr(BoundedHttp, name, noted)
    return called
