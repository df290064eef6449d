"""What every in-memory store has: tables that a transaction changes, and that are as before when it fails."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.database import Tx


class Refused(Exception):
    """A constraint of the schema does not hold: Postgres would have refused the statement."""


def require(holds: bool, constraint: str, of: object) -> None:
    """The named constraint, as the migration states it."""
    if not holds:
        raise Refused(f"{constraint}: {of}")


@dataclass
class Tables:
    """Every field is a dictionary; `heard` is the inbox."""

    heard: dict[tuple[str, str], None] = field(default_factory=dict)

    def snapshot(self) -> list[dict[Any, Any]]:
        """All of it, to return to."""
        return [table.copy() for table in vars(self).values()]

    def restore(self, snapshot: list[dict[Any, Any]]) -> None:
        """As it was when the snapshot was taken."""
        vars(self).update(zip(vars(self), snapshot, strict=True))

    def next_due(self) -> list[datetime]:
        """When the service has something to do by the clock, by its own clock."""
        return []


class MemoryTx(Tx):
    """A transaction over tables in memory. What is announced in it is in `said` once it is over."""

    def __init__(self, tables: Tables, service: str, now: datetime, draw: "Draw") -> None:
        super().__init__(None, service, now)
        self.tables = tables
        self.draw = draw
        self.said: list[Any] = []

    def announce(self, events: Any) -> None:
        self.said += events


def draw(tx: Tx) -> int:
    """A number for what is new in the transaction."""
    number: int = tx.draw()  # type: ignore[attr-defined]
    return number


class Draw:
    """Numbers that are given once, for ids; the same in every run of a seed."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> int:
        self._last += 1
        return self._last
