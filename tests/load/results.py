"""What the bench found, for people and for programs."""

import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from tests.load.costs import Figure
from tests.load.meter import COSTS

RATE, CPU, MESSAGES = "orders_per_second", "cpu_ms_per_order", "amqp_messages_per_order"

COST = "cost of an order; MB of the largest service's process, before and after"
HEADINGS = ("orders", "inven\ntory", "pay\nments", "logis\ntics", "post\ngres", "rabbit\nmq")
"""Of COSTS, on a terminal of 80 columns."""

NARROW = (0, 1, 0, 0)

SHOWN = 10
"""Complaints said of one figure."""


@dataclass(slots=True)
class Findings:
    """One run of the bench."""

    replicas: int
    figures: dict[str, Figure] = field(default_factory=dict)
    floors: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Before the figures and after them."""

    memory_at_rest: dict[str, float] = field(default_factory=dict)
    """MiB of each service, before anything was asked of it."""

    @property
    def ok(self) -> bool:
        return not any(figure.complaints for figure in self.figures.values())

    def as_dict(self) -> dict[str, Any]:
        """For programs: the floor and each figure, with its share of the floor."""
        found: dict[str, Any] = {"floor": self._floor() | {"p50_ms": None, "p99_ms": None} | self.floors}
        for name, figure in self.figures.items():
            for _, values in points(name, figure):
                values |= {"of_floor": self.of_floor(values), "of_floor_by_cpu": self.of_floor_by_cpu(values)}
                values["counts"] = not figure.complaints
            found[name] = figure.values
        wrong = {name: figure.complaints for name, figure in self.figures.items() if figure.complaints}
        about = {"replicas": self.replicas, "cores": os.cpu_count(), "memory_mb_at_rest": self.memory_at_rest}
        return found | {"ok": self.ok, "complaints": wrong, **about}

    def of_floor(self, values: dict[str, Any]) -> float | None:
        """Orders a second as a share of the floor's, once that is known."""
        return round(values[RATE] / self._floor()[RATE], 3) if len(self.floors) == 2 else None

    def of_floor_by_cpu(self, values: dict[str, Any]) -> float | None:
        """The same by CPU time, which others at work on the machine change less."""
        return round(self._floor()[CPU] / values[CPU], 3) if len(self.floors) == 2 and values[CPU] else None

    def _floor(self) -> dict[str, float]:
        """The mean of before and after."""
        return {key: round(statistics.mean(each[key] for each in self.floors.values()), 3) for key in (RATE, CPU, MESSAGES)}

    def line(self, name: str) -> str:
        """One figure, as soon as it is known."""
        told = [
            f"{point}: {values[RATE]:,.1f} orders/s, p50 {_ms(values['p50_ms'])}, p99 {_ms(values['p99_ms'])}, "
            f"{values[CPU]:.2f} ms of CPU an order{_beside(values)}"
            for point, values in points(name, self.figures[name])
        ]
        if (more := self.figures[name].values.get("cost_grows_by")) is not None:
            told.append(f"{name}: an order costs {100 * more:+.0f} % with the most stored")
        return "\n".join([*told, *complaints(name, self.figures[name])])


def _beside(values: dict[str, Any]) -> str:
    """What only some figures have."""
    backlog, search, order = (values.get(key) for key in ("backlog", "search", "order"))
    told = f", {backlog['early']:,.0f} and later {backlog['late']:,.0f} orders under way" if backlog else ""
    return told + "".join(
        f", {what} p99 {_ms(took['p99_ms'])} at {took['requests_per_second']}/s"
        for what, took in (("search", search), ("order", order))
        if took
    )


def points(name: str, figure: Figure) -> Iterator[tuple[str, dict[str, Any]]]:
    """The figure itself, or each of the points it was measured at."""
    if RATE in figure.values:
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
    columns = ("figure", "orders/s", "of floor", "by CPU", "p50", "p99", "max", "")
    shown = Table(*columns, title="\nthroughput and latency", box=None, padding=NARROW)
    for side, floor in findings.floors.items():
        shown.add_row(f"floor {side}", _rate(floor))
    for name, figure in findings.figures.items():
        mark = "[red]does not count" if figure.complaints else "[green]ok"
        for point, values in points(name, figure):
            shares = _two(findings.of_floor(values)), _two(findings.of_floor_by_cpu(values))
            times = (_ms(values[key]) for key in ("p50_ms", "p99_ms", "max_ms"))
            shown.add_row(point, _rate(values), *shares, *times, mark)
    return shown


def _costs(findings: Findings) -> Table:
    columns = ("", "CPU ms", *HEADINGS, "AMQP", "SQL", "MB")
    shown = Table(*columns, title=f"\n{COST}", box=None, padding=NARROW)
    for side, floor in findings.floors.items():
        of = floor["cpu_ms_per_order_of"]
        cpu = [_two(floor[CPU]), _two(of["processes"]), "", "", "", _two(of["postgres"]), _two(of["rabbitmq"])]
        shown.add_row(f"floor {side}", *cpu, _two(floor[MESSAGES]))
    for name, figure in findings.figures.items():
        for point, values in points(name, figure):
            split = (values["cpu_ms_per_order_of"][each] for each in COSTS)
            numbers = (values[CPU], *split, values[MESSAGES], values["sql_round_trips_per_order"])
            megabytes = " ".join(f"{max(values[side].values()):.0f}" for side in ("memory_mb_before", "memory_mb_after"))
            shown.add_row(point, *map(_two, numbers), megabytes)
    return shown


def _rate(values: dict[str, Any]) -> str:
    return f"{values[RATE]:,.0f}"


def _two(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _ms(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:,.0f} ms"
