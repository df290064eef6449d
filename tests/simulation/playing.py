"""Playing histories: one seed after another, and what a failing one looks like."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.simulation.history import History
from tests.simulation.plugged import plugged
from tests.simulation.promises import broken


@dataclass(frozen=True)
class Outcome:
    """How a seed's history ended. `broken` are the promises that did not hold."""

    seed: int
    orders: int
    events: int
    deliveries: int
    steps: int
    broken: tuple[str, ...]
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        promises = "\n".join(f"  * {promise}" for promise in self.broken)
        course = "\n".join(f"  {line}" for line in self.trace)
        again = f"python -m tests.simulation --seed {self.seed} --histories 1"
        return f"seed {self.seed} ({again}) ends with:\n{promises}\nIts history:\n{course}"


def play(seed: int, *, traced: bool = False) -> Outcome:
    """One history, from its seed."""
    return next(play_all([seed], traced=traced))


def play_all(seeds: Iterable[int], *, traced: bool = False) -> Iterator[Outcome]:
    """A history for each seed; one that fails is played again for its trace."""
    with plugged() as stage:
        for seed in seeds:
            trace: list[str] = []
            history = History(seed, trace if traced else None)
            found = [] if history.play(stage) else ["it never comes to rest"]
            found += broken(history)
            if found and not traced:
                history = History(seed, trace)
                history.play(stage)
            bus = history.bus
            yield Outcome(seed, len(bus.orders.orders), len(bus.said), bus.delivered, history.steps, tuple(found), tuple(trace))
