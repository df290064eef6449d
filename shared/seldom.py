"""Lines in the log that would drown all others if they came as often as what they tell of."""

import time

EVERY = 10.0
"""Seconds between two of them about the same."""


class Seldom:
    """Remembers when each was said last."""

    def __init__(self) -> None:
        self._said_at: dict[str, float] = {}

    def is_time(self, about: str) -> bool:
        """Whether to say it now; it is not time again for a while then."""
        if time.monotonic() - self._said_at.get(about, -EVERY) < EVERY:
            return False
        self._said_at[about] = time.monotonic()
        return True
