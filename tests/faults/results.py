"""What the suite found, for people and for programs."""

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

SHOWN = 10
"""Violations said of one fault; the number is given in full."""


@dataclass(slots=True)
class Result:
    """One fault. `recovery_seconds`: from its end until the last order that it met was at an end."""

    name: str
    injections: int = 0
    orders: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0
    recovery_seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    skipped: str | None = None

    @property
    def ok(self) -> bool:
        return self.skipped is not None or (self.injections > 0 and not self.violations)


@dataclass(slots=True)
class Findings:
    """The whole run."""

    seed: int
    faults: list[Result] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.faults) and all(result.ok for result in self.faults)

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {"ok": self.ok, "seed": self.seed, "faults": [asdict(result) for result in self.faults]}


def table(findings: Findings) -> Table:
    """For people."""
    orders = sum(result.orders for result in findings.faults)
    verdict = "nothing lost, doubled or stuck" if findings.ok else "NOT ALL IS WELL"
    shown = Table(
        "fault",
        "injections",
        "orders",
        "lost",
        "doubled",
        "stuck",
        "recovery",
        "",
        title=f"{verdict}: {orders} orders, seed {findings.seed}",
    )
    for result in findings.faults:
        mark = "[yellow]skipped" if result.skipped else "[green]ok" if result.ok else f"[red]{len(result.violations)} wrong"
        numbers = (result.injections, result.orders, result.lost, result.doubled, result.stuck)
        shown.add_row(result.name, *map(str, numbers), f"{result.recovery_seconds:.1f} s", mark)
    return shown


def complaints(findings: Findings) -> list[str]:
    """What stands behind the numbers, a line each."""
    lines = []
    for result in findings.faults:
        told = [f"skipped: {result.skipped}"] if result.skipped else result.violations[:SHOWN]
        lines += [f"{result.name}: {line}" for line in told]
    return lines
