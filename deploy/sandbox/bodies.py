"""Reading a request's body, and no more of it than is reasonable."""

from fastapi import Request

LIMIT = 1024 * 1024


class BodyTooLargeError(Exception):
    """The body is longer than LIMIT bytes."""


async def read(request: Request) -> bytes:
    """The whole body; raises BodyTooLargeError without reading on when it passes LIMIT."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > LIMIT:
        raise BodyTooLargeError
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LIMIT:
            raise BodyTooLargeError
        chunks.append(chunk)
    return b"".join(chunks)
