"""Reading a request's body, and no more of it than is reasonable."""

from fastapi import Request

LIMIT = 1024 * 1024


class BodyTooLargeError(Exception):
    """The body is longer than LIMIT bytes."""


class HungUpError(Exception):
    """Nobody waits for the answer any more."""


async def read(request: Request) -> bytes:
    """The whole body; raises BodyTooLargeError without reading on when it passes LIMIT, and HungUpError when the caller has gone.

    A stand-in that had no time for seconds finds calls that were given up meanwhile. Carried out after their callers have looked
    and not found them, they would be done twice, and nothing that a caller does could prevent it.
    """
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
    if await request.is_disconnected():
        raise HungUpError
    return b"".join(chunks)
