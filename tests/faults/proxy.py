"""A network that can be made to misbehave: a TCP proxy between one process and one server."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

CHUNK = 64 * 1024


class Connection:
    """One connection through a link: what the client sent, and what it was answered."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._client = client
        self._server = server
        self.is_deaf = False
        """The next answer is taken from the server and never given: the connection ends instead."""

    @property
    def port_at_server(self) -> int:
        """By which the server knows it."""
        port: int = self._server.get_extra_info("sockname")[1]
        return port

    def abort(self) -> None:
        """Both sides see a reset, now."""
        for writer in (self._client, self._server):
            if writer.transport is not None:
                writer.transport.abort()

    def half_close(self) -> None:
        """The server hears that the client has nothing more to say; the client hears nothing."""
        if self._server.can_write_eof() and not self._server.is_closing():
            self._server.write_eof()


class Tap(Protocol):
    """Looks at what passes; what it returns is passed on."""

    def ask(self, connection: Connection, data: bytes) -> bytes: ...
    def answer(self, connection: Connection, data: bytes) -> bytes: ...


class Link:
    """A port of our own that leads to the server's. As it is, it changes nothing."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._listener: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.latency = 0.0
        self.tap: Tap | None = None

    @property
    def port(self) -> int:
        """Where the client is told the server is."""
        assert self._listener is not None, "asked for its port before it listens"
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def open(self) -> None:
        """Begin to listen."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def close(self) -> None:
        """Stop listening, and end all connections, also those that nothing has come through yet."""
        self._is_closed = True
        self._flows.set()
        if self._listener is not None:
            self._listener.close()
        self.cut()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def lead_to(self, port: int) -> None:
        """Whoever connects from now on reaches this one."""
        self._upstream = (self._upstream[0], port)

    def cut(self) -> int:
        """All connections are reset; how many there were."""
        connections = list(self._connections)
        for connection in connections:
            connection.abort()
        return len(connections)

    def half_close(self) -> int:
        """The servers hear the clients' end, the clients hear nothing."""
        for connection in list(self._connections):
            connection.half_close()
        return len(self._connections)

    def swallow(self) -> None:
        """Nothing passes any more and nobody is told. New connections are taken and go nowhere."""
        self._flows.clear()

    def restore(self) -> None:
        """As it was: what was under way arrives after all."""
        self._flows.set()
        self.latency, self.tap = 0.0, None

    def leads_to(self, port_at_server: int) -> bool:
        """Whether the server knows one of the connections by this port."""
        return any(connection.port_at_server == port_at_server for connection in self._connections)

    async def _serve(self, asking: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        if self._is_closed:
            client.transport.abort()
            return
        try:
            answering, server = await asyncio.open_connection(*self._upstream)
        except OSError:
            client.transport.abort()
            return
        connection = Connection(client, server)
        self._connections.add(connection)
        there = asyncio.create_task(self._pump(asking, server, connection, self._asked))
        back = asyncio.create_task(self._pump(answering, client, connection, self._answered))
        self._pumps |= {there, back}
        try:
            await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)
        finally:
            connection.abort()
            self._connections.discard(connection)
            await asyncio.gather(there, back, return_exceptions=True)
            self._pumps -= {there, back}

    def _asked(self, connection: Connection, data: bytes) -> bytes:
        return self.tap.ask(connection, data) if self.tap else data

    def _answered(self, connection: Connection, data: bytes) -> bytes:
        if connection.is_deaf:
            connection.abort()
            return b""
        return self.tap.answer(connection, data) if self.tap else data

    async def _pump(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        connection: Connection,
        look: Callable[[Connection, bytes], bytes],
    ) -> None:
        with suppress(OSError):
            while data := await source.read(CHUNK):
                if self.latency:
                    await asyncio.sleep(self.latency)
                await self._flows.wait()
                if target.is_closing():
                    return
                target.write(look(connection, data))
                await target.drain()
        await self._flows.wait()  # the end is as invisible as everything else


class LostAnswers:
    """The next requests with these bytes in them are served, and their answers never come: the connection is reset.
    `before`: the request itself does not arrive either."""

    def __init__(self, needle: bytes, times: int, *, before: bool = False) -> None:
        self._needle = needle
        self._left = times
        self._before = before
        self.struck = 0

    def ask(self, connection: Connection, data: bytes) -> bytes:
        """Strike, or let pass."""
        if self._left > 0 and not connection.is_deaf and self._needle in data:
            self._left -= 1
            self.struck += 1
            if self._before:
                connection.abort()
                return b""
            connection.is_deaf = True
        return data

    def answer(self, connection: Connection, data: bytes) -> bytes:
        """Untouched."""
        return data


class LostConfirms:
    """RabbitMQ has the message, and the publisher never hears of it: `basic.ack` frames do not come back."""

    _ACK = (60).to_bytes(2, "big") + (80).to_bytes(2, "big")

    def __init__(self) -> None:
        self.struck = 0
        self._begun: dict[Connection, bytes] = {}

    def ask(self, connection: Connection, data: bytes) -> bytes:
        """Untouched."""
        return data

    def answer(self, connection: Connection, data: bytes) -> bytes:
        """Whole frames are looked at: type, channel, size, payload, end."""
        rest, passed = self._begun.pop(connection, b"") + data, b""
        while len(rest) >= 7 and len(rest) >= (end := 8 + int.from_bytes(rest[3:7], "big")):
            frame, rest = rest[:end], rest[end:]
            if frame[0] == 1 and frame[7:11] == self._ACK:
                self.struck += 1
            else:
                passed += frame
        if rest:
            self._begun[connection] = rest
        return passed
