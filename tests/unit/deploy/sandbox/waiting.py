"""What comes by itself, and takes its time on a machine that has much to do."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Returns as soon as it is so."""
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.005)
