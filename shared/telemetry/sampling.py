"""Which traces are recorded. The one with whom a trace begins decides, and the others follow the flag in its traceparent;
what failed or is slow is recorded from there on, whatever was decided. Both are bounded in number a second, so that neither
a flood of orders nor a bad day makes the work slower."""

import random
import time
from datetime import datetime, timedelta


class Allowance:
    """So many a second; what is not used is saved up, for a second at most."""

    def __init__(self, a_second: float) -> None:
        self._a_second = a_second
        self._most = max(1.0, a_second) if a_second else 0.0
        self._left = self._most
        self._seen = time.monotonic()

    def take(self) -> bool:
        """Whether there is one more."""
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._seen) * self._a_second)
        self._seen = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Sampler:
    """Decides for one process. `ratio` of the traces that begin are recorded, and at most so many a second; of what failed or
    took longer than `slow`, at most as many again."""

    def __init__(self, ratio: float, a_second: float, slow: timedelta) -> None:
        self._ratio = ratio
        self._begun = Allowance(a_second)
        self._kept = Allowance(a_second)
        self.slow = slow

    def begins(self, *, asked_for: bool = False) -> bool:
        """Whether to record a trace that begins or comes in here. `asked_for`: whoever is outside records it already."""
        return (asked_for or random.random() < self._ratio) and self._begun.take()

    def keeps(self) -> bool:
        """Whether to record what failed or is slow, though its trace is not recorded."""
        return self._kept.take()

    def is_slow(self, since: datetime, now: datetime) -> bool:
        """Whether what was asked for at that time should have been done by now."""
        return now - since > self.slow
