"""Answers that come too late: the work is done, and the caller does not hear of it in time."""

import asyncio

from fastapi import Request


async def hold(request: Request, seconds: float) -> None:
    """Return after that long, or as soon as the caller has hung up. The request's body must have been read."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except (TimeoutError, asyncio.CancelledError):
        # Nothing but the server's own stop cancels a held answer; sending it then is quieter than failing.
        pass
