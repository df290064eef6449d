"""The time by which things are due: Postgres's, so that replicas whose own clocks disagree agree on it."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

ASKED_EVERY = 10.0
"""Seconds. In between the process's own counter goes on from the answer; it does not jump when its clock is set."""


class Clock:
    """Asks on whatever connection is at hand, now and then."""

    def __init__(self) -> None:
        self._told = datetime.now(UTC)
        self._counter = -ASKED_EVERY

    async def now(self, connection: Any) -> datetime:
        """The time at Postgres, to within half of the way there and back."""
        asked = time.monotonic()
        if asked - self._counter >= ASKED_EVERY:
            told = await connection.fetchval("SELECT clock_timestamp()")
            self._told, self._counter = told, (asked + time.monotonic()) / 2
        return self._told + timedelta(seconds=time.monotonic() - self._counter)
