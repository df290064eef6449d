"""What a request holds, and for how long."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI

from shared.http import Reader


class Pool:
    """Counts the connections that are out."""

    def __init__(self) -> None:
        self.held = 0

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[object]:
        self.held += 1
        try:
            yield object()
        finally:
            self.held -= 1


async def test_a_read_gives_its_connection_back_before_its_answer_is_sent() -> None:
    """Or a client that never reads what it has asked for would keep it: a few of these, and the service has none left."""
    app, pool, held = FastAPI(), Pool(), []
    app.state.database = SimpleNamespace(pool=pool)

    @app.get("/")
    async def read(reader: Reader) -> int:
        return pool.held

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        held.append((message["type"], pool.held, message.get("body")))

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "app": app}
    await app(scope, receive, send)  # type: ignore[arg-type]

    assert held == [("http.response.start", 0, None), ("http.response.body", 0, b"1")]
