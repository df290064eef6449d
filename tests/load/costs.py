"""A load's figures: what came through, how soon, and what an order cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.load.load import Outcome, percentile
from tests.load.meter import COSTS, Reading


@dataclass(slots=True)
class Measured:
    """One run of a load."""

    outcome: Outcome
    before: Reading
    after: Reading
    complaints: list[str]

    @property
    def orders_per_second(self) -> float:
        return round(self.outcome.orders / self.outcome.seconds, 1) if self.outcome.seconds else 0.0

    @property
    def p99_ms(self) -> float:
        return percentile(self.outcome.latencies, 0.99) or 0.0


@dataclass(slots=True)
class Figure:
    """What `--json` says of it, and why it does not count, if it does not."""

    values: dict[str, Any]
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def of_several(cls, parts: Mapping[str, "Figure"]) -> "Figure":
        """A figure that is measured at several points."""
        return cls(
            {point: part.values for point, part in parts.items()},
            [f"{point}: {line}" for point, part in parts.items() for line in part.complaints],
        )


def figure_of(runs: Sequence[Measured], at_a_rate: bool = False) -> Figure:
    """The middle one stands for all: by orders a second or, where these are given, by p99. `runs` says that of each. What is
    wrong with any is wrong."""

    def result(run: Measured) -> float:
        return run.p99_ms if at_a_rate else run.orders_per_second

    values = _values(sorted(runs, key=result)[len(runs) // 2])
    values["runs"] = [result(run) for run in runs]
    return Figure(values, [line for run in runs for line in run.complaints])


def _values(run: Measured) -> dict[str, Any]:
    outcome, before, after = run.outcome, run.before, run.after
    orders = max(1, outcome.orders)
    cpu = {name: round(1000 * (after.cpu[name] - before.cpu[name]) / orders, 3) for name in after.cpu}
    values: dict[str, Any] = {
        "orders": outcome.orders,
        "seconds": round(outcome.seconds, 2),
        "orders_per_second": run.orders_per_second,
        **{f"p{share}_ms": percentile(outcome.latencies, share / 100) for share in (50, 95, 99)},
        "max_ms": round(max(outcome.latencies), 2) if outcome.latencies else None,
        "cpu_ms_per_order": round(sum(cpu[name] for name in COSTS), 3),
        "cpu_ms_per_order_of": {name: cpu[name] for name in COSTS},
        "cpu_ms_per_order_beside": {"client": round(1000 * outcome.cpu_seconds / orders, 3), "sandbox": cpu["sandbox"]},
        "amqp_messages_per_order": round((after.published - before.published) / orders, 3),
        "amqp_deliveries_per_order": round((after.delivered - before.delivered) / orders, 3),
        "sql_round_trips_per_order": _per_order(before.statements, after.statements, orders),
        "memory_mb_before": before.memory,
        "memory_mb_after": after.memory,
    }
    if outcome.answers:
        values["answer_ms"] = {f"p{share}": percentile(outcome.answers, share / 100) for share in (50, 95, 99)}
        values["backlog"] = _backlog(outcome)
    for what, took in outcome.reads.items():
        shares = {f"p{share}_ms": percentile(took, share / 100) for share in (50, 95, 99)}
        values[what] = {"requests_per_second": round(len(took) / outcome.seconds, 1), **shares, "max_ms": max(took, default=None)}
    return values


def _per_order(before: int | None, after: int | None, orders: int) -> float | None:
    return None if before is None or after is None else round((after - before) / orders, 3)


def _backlog(outcome: Outcome) -> dict[str, float]:
    """Orders taken and not ended, in the second and in the last quarter of the time in which they were sent: a queue that
    grows shows here."""
    quarter = max(1, len(outcome.backlog) // 4)
    depths = [depth for _, depth in outcome.backlog]
    second, last = depths[quarter : 2 * quarter] or depths, depths[-quarter:]
    return {"early": round(sum(second) / max(1, len(second)), 1), "late": round(sum(last) / max(1, len(last)), 1)}
