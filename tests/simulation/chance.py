"""Where every decision of a history comes from."""

from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")


class Chance(Random):
    """Random, but for short lists at a third of the cost: one float for each choice. No list here is long enough to tell."""

    def choice(self, seq: Sequence[T]) -> T:  # type: ignore[override]
        """One of them."""
        return seq[int(self.random() * len(seq))]

    def sample(self, population: Sequence[T], k: int, **_: Any) -> list[T]:
        """So many of them, in any sequence."""
        left = list(population)
        return [self.take(left) for _ in range(k)]

    def take(self, left: list[T]) -> T:
        """One of them, which is then not among them any more."""
        return left.pop(int(self.random() * len(left)))
