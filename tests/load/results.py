"""What the bench found, for people and for programs."""

import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from tests.load.costs import Figure
from tests.load.meter import COSTS

MESSAGES = "amqp_messages_per_order"

SHOWN = 10
"""Complaints said of one figure."""


@dataclass(slots=True)
class Findings:
    """One run of the bench."""

    replicas: int
    figures: dict[str, Figure] = field(default_factory=dict)
    floors: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Before the figures and after them."""

    @property
    def ok(self) -> bool:
        return not any(figure.complaints for figure in self.figures.values())

    def as_dict(self) -> dict[str, Any]:
        """For programs: the floor and each figure, with its share of the floor."""
        floor = {key: self._floor(key) for key in ("orders_per_second", "cpu_ms_per_order", MESSAGES)}
        found: dict[str, Any] = {"floor": floor | {"p50_ms": None, "p99_ms": None} | self.floors}
        for name, figure in self.figures.items():
            for _, values in points(name, figure):
                values["of_floor"] = self.of_floor(values)
            found[name] = figure.values | {"counts": not figure.complaints, "complaints": figure.complaints}
        return found | {"ok": self.ok, "replicas": self.replicas, "cores": os.cpu_count()}

    def of_floor(self, values: dict[str, Any]) -> float | None:
        """Orders a second as a share of the floor's."""
        return round(float(values["orders_per_second"]) / self._floor("orders_per_second"), 3) if len(self.floors) == 2 else None

    def _floor(self, key: str) -> float:
        """The mean of before and after."""
        return round(statistics.mean(float(floor[key]) for floor in self.floors.values()), 3)

    def line(self, name: str) -> str:
        """One figure, as soon as it is known."""
        told = [
            f"{point}: {values['orders_per_second']:,.1f} orders/s, p50 {_ms(values['p50_ms'])}, p99 {_ms(values['p99_ms'])}, "
            f"{values['cpu_ms_per_order']:.2f} ms of CPU an order"
            for point, values in points(name, self.figures[name])
        ]
        return "\n".join([*told, *complaints(name, self.figures[name])])


def points(name: str, figure: Figure) -> Iterator[tuple[str, dict[str, Any]]]:
    """The figure itself, or each of the points it was measured at."""
    if "orders_per_second" in figure.values:
        yield name, figure.values
    else:
        yield from ((f"{name} {point}", values) for point, values in figure.values.items() if isinstance(values, dict))


def complaints(name: str, figure: Figure) -> list[str]:
    """Why it does not count, a line each."""
    told = [f"  {name} does not count: {line}" for line in figure.complaints[:SHOWN]]
    more = len(figure.complaints) - SHOWN
    return told + ([f"  and {more} more"] if more > 0 else [])


def tables(findings: Findings) -> list[Table]:
    """For people: what came through, and what it cost."""
    return [_rates(findings), _costs(findings)]


def _rates(findings: Findings) -> Table:
    shown = Table("figure", "orders/s", "of floor", "p50", "p99", "max", "", title="throughput and latency")
    for side, floor in findings.floors.items():
        shown.add_row(f"floor {side}", _rate(floor))
    for name, figure in findings.figures.items():
        mark = "[red]does not count" if figure.complaints else "[green]ok"
        for point, values in points(name, figure):
            share = findings.of_floor(values)
            times = (_ms(values[key]) for key in ("p50_ms", "p99_ms", "max_ms"))
            shown.add_row(point, _rate(values), "" if share is None else f"{share:.2f}", *times, mark)
    return shown


def _costs(findings: Findings) -> Table:
    columns = ("", "CPU ms", *COSTS, "AMQP", "SQL", "MB")
    shown = Table(*columns, title="cost of an order; MB of the largest service's process, before and after")
    for side, floor in findings.floors.items():
        of = floor["cpu_ms_per_order_of"]
        cpu = [_two(floor["cpu_ms_per_order"]), _two(of["processes"]), "", "", "", _two(of["postgres"]), _two(of["rabbitmq"])]
        shown.add_row(f"floor {side}", *cpu, _two(floor[MESSAGES]))
    for name, figure in findings.figures.items():
        for point, values in points(name, figure):
            split = (values["cpu_ms_per_order_of"][each] for each in COSTS)
            numbers = (values["cpu_ms_per_order"], *split, values[MESSAGES], values["sql_round_trips_per_order"])
            megabytes = " ".join(f"{max(values[side].values()):.0f}" for side in ("memory_mb_before", "memory_mb_after"))
            shown.add_row(point, *map(_two, numbers), megabytes)
    return shown


def _rate(values: dict[str, Any]) -> str:
    return f"{values['orders_per_second']:,.0f}"


def _two(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _ms(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:,.0f} ms"
