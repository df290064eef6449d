"""The HTTP server's own bounds: uvicorn's fast parser takes headers of any size, and waits for ever: for a request to come, and
for an answer to be read."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared import bounds

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHttp(HttpToolsProtocol):
    """A connection is closed when a request's first line and headers are too long, when what has begun to come does not come
    whole in time, and when nobody takes the answer. What is answered before it has come whole has little time left."""

    _head_bytes = 0
    _in_head = True
    _has_begun = False
    _may_be_trailers = False
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Nothing has come yet: that too must not last."""
        super().connection_made(transport)
        self._expect(bounds.HEAD_PATIENCE)

    def connection_lost(self, exc: Exception | None) -> None:
        """The timers go with the connection."""
        self._expect_nothing()
        self._is_taken()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counted before it is parsed: the parser keeps what is not complete."""
        if self._in_head:
            self._head_bytes += len(data)
            # a whole request may come at once: what is too much is known when no end of the headers is among it
            if self._head_bytes > bounds.MAX_HEAD and b"\r\n\r\n" not in data[: bounds.MAX_HEAD]:
                self._refuse()
                return
        elif self._may_be_trailers:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._may_be_trailers and self._head_bytes > bounds.MAX_HEAD:
            self._close()
        elif self.transport.is_closing():
            self._must_be_taken()
        elif self._deadline is None:
            self._expect_the_rest()

    def on_message_begin(self) -> None:
        """The next request on this connection begins."""
        super().on_message_begin()
        self._has_begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """What comes after the body is nobody's business here: trailers are dropped, as RFC 9110 lets us."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """From here on the body's own bounds count."""
        self._expect_nothing()
        self._in_head, self._head_bytes = False, 0
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """What comes now is a piece of the body or, after the last piece, trailers: which, the parser does not say."""
        self._may_be_trailers, self._head_bytes = True, 0

    def on_body(self, body: bytes) -> None:
        """It was a piece."""
        self._may_be_trailers = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        """What comes now is the head of another request, which begins with its first byte."""
        super().on_message_complete()
        self._expect_nothing()
        self._in_head, self._has_begun, self._may_be_trailers, self._head_bytes = True, False, False, 0

    def on_response_complete(self) -> None:
        """What is left of a request that is answered may come yet: who is cut off while sending may never see the answer."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._must_be_taken()
        elif not self._in_head and self.cycle.response_complete:
            self._expect(bounds.REST_PATIENCE)

    def pause_writing(self) -> None:
        """The client reads slower than it is answered: that must not last."""
        super().pause_writing()
        self._must_be_taken()

    def resume_writing(self) -> None:
        """It reads."""
        super().resume_writing()
        self._is_taken()
        if self.transport.is_closing():
            self._must_be_taken()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more was asked."""
        self._close()

    def _expect_the_rest(self) -> None:
        """Of what has begun to come. What has come whole waits for us, and then rests."""
        is_answered = self.cycle is None or self.cycle.response_complete
        if not self._in_head:
            self._expect(bounds.REST_PATIENCE if is_answered else bounds.BODY_PATIENCE + bounds.REST_PATIENCE)
        elif self._has_begun:
            self._expect(bounds.HEAD_PATIENCE)
        elif is_answered and self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _expect(self, within: float) -> None:
        self._expect_nothing()
        self._deadline = self.loop.call_later(within, self._late)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        # one request waits behind another that is not answered yet, or is not read on: that is our doing
        if self.flow.read_paused or (self._in_head and self.cycle is not None and not self.cycle.response_complete):
            self._expect_the_rest()
        else:
            self._close()

    def _refuse(self) -> None:
        self.transport.write(_TOO_LARGE)
        self._close()

    def _close(self) -> None:
        self._expect_nothing()
        if not self.transport.is_closing():
            self.transport.close()
        self._must_be_taken()

    def _must_be_taken(self) -> None:
        """A connection ends when all that was written is taken."""
        if self._stalled is None:
            self._stalled = self.loop.call_later(bounds.WRITE_PATIENCE, self.transport.abort)

    def _is_taken(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
