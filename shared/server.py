"""The HTTP server's own bounds: uvicorn's fast parser takes headers of any size, and waits for them for ever."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared import bounds

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHttp(HttpToolsProtocol):
    """A connection is closed when a request's first line and headers are too long, or do not come in time."""

    _head_bytes = 0
    _in_head = True
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Nothing has come yet: that too must not last."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The timer goes with the connection."""
        self._head_is_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counted before it is parsed: the parser keeps what is not complete."""
        if self._in_head:
            self._head_bytes += len(data)
            # a whole request may come at once: what is too much is known when no end of the headers is among it
            if self._head_bytes > bounds.MAX_HEAD and b"\r\n\r\n" not in data[: bounds.MAX_HEAD]:
                self._refuse()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """The next request on this connection begins."""
        super().on_message_begin()
        if self._deadline is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """From here on the body's own bounds count."""
        self._head_is_done()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes now is the head of another request, which begins with its first byte."""
        super().on_message_complete()
        self._in_head, self._head_bytes = True, 0

    def _expect_head(self) -> None:
        self._in_head = True
        self._deadline = self.loop.call_later(bounds.HEAD_PATIENCE, self._close)

    def _head_is_done(self) -> None:
        self._in_head, self._head_bytes = False, 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self) -> None:
        self.transport.write(_TOO_LARGE)
        self._close()

    def _close(self) -> None:
        self._head_is_done()
        if not self.transport.is_closing():
            self.transport.close()
