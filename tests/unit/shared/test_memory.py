"""What a flood leaves behind."""

import psutil
import pytest

from shared import memory

MEGABYTE = 2**20


def resident() -> int:
    """Bytes that this process holds."""
    held: int = psutil.Process().memory_info().rss
    return held


@pytest.mark.skipif(memory._trim is None, reason="only glibc is asked")
async def test_what_lay_below_something_still_in_use_is_given_back() -> None:
    before = resident()
    bodies = [bytes(1_000) for _ in range(60_000)]
    still_in_use = bodies[::500]
    del bodies

    assert await memory.give_back() == 0

    assert still_in_use
    assert resident() - before < 20 * MEGABYTE
