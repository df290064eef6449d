"""A partner over a real socket that says what it is told to say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson

from shared import partners


class Said:
    """What it was asked, each call's first line."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []


@asynccontextmanager
async def answering(*answers: tuple[int, object]) -> AsyncIterator[Said]:
    """It gives these answers, each a status and a JSON document, one after the other; the last one from then on."""
    waiting = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        said.asked.append(head.splitlines()[0])
        status, document = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        body = orjson.dumps(document)
        writer.write(b"HTTP/1.1 %d -\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    said = Said(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield said
    await partners.close()
