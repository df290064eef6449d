"""What an audit found."""

from dataclasses import asdict, dataclass, field
from typing import Any

SHOWN = 20
"""Offenders named for each check; the number is given in full."""


@dataclass(frozen=True)
class Check:
    """One invariant: its name, the sentence it stands for, how many it was checked on, and the offenders."""

    name: str
    promise: str
    checked: int
    violations: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.violations


@dataclass(frozen=True)
class Report:
    """All invariants at one moment."""

    checks: list[Check]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """For programs; at most some offenders of each check."""
        return {
            "ok": self.ok,
            "checks": [asdict(check) | {"violations": check.violations[:SHOWN]} for check in self.checks],
        }
