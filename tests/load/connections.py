"""HTTP as cheap as a client can have it: the machine is to be busy with the services, not with who asks them."""

import asyncio
from typing import Self, cast
from urllib.parse import urlsplit

import httptools


class Lost(Exception):
    """The connection ended before the answer came."""


class Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._body = b""
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def to(cls, url: str) -> Self:
        """A fresh one."""
        parts = urlsplit(url)
        _, connection = await asyncio.get_running_loop().create_connection(cls, str(parts.hostname), int(parts.port or 80))
        return connection

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises Lost."""
        assert self._transport is not None, "connected"
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Nothing more is asked."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Lost(repr(exc)))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """httptools': another answer."""
        self._body = b""

    def on_body(self, body: bytes) -> None:
        """httptools': a part of it."""
        self._body += body

    def on_message_complete(self) -> None:
        """httptools': the answer is whole."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), self._body))


class Connections:
    """As many as are needed at once, over all of a service's processes; the one used last is used next."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls
        self._idle: list[Connection] = []
        self._made = 0

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. Raises Lost."""
        connection = self._take() or await self._another()
        try:
            answer = await connection.ask(request)
        except BaseException:
            connection.close()  # what it still gets would be taken for the next answer
            raise
        self._idle.append(connection)
        return answer

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _another(self) -> Connection:
        self._made += 1
        return await Connection.to(self._urls[self._made % len(self._urls)])


def request(method: str, path: str, token: str = "", body: bytes = b"", **headers: str) -> bytes:
    """As it goes on the wire."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: bench",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    if token:
        lines.append(f"authorization: Bearer {token}")
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
