"""python -m tests.simulation --seconds 60 --seed N: as many histories as fit into the time, on every processor."""

import argparse
import gc
import os
import random
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import Pool

from tests.simulation.playing import Outcome, play_all


@dataclass(frozen=True)
class Share:
    """What one process plays: every so many seeds, for so long, until so many have failed."""

    seeds: Iterable[int]
    seconds: float
    failures: int


@dataclass
class Played:
    """How it went."""

    histories: int = 0
    orders: int = 0
    events: int = 0
    deliveries: int = 0
    steps: int = 0
    cpu: float = 0
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """One more history."""
        self.histories += 1
        self.orders += outcome.orders
        self.events += outcome.events
        self.deliveries += outcome.deliveries
        self.steps += outcome.steps
        self.failed += [outcome] if outcome.broken else []


def play_share(share: Share) -> Played:
    """One process's part."""
    gc.freeze()  # what is imported stays, and one history holds little: what is collected is seldom worth a look
    gc.set_threshold(100_000)
    played, began, cpu = Played(), time.monotonic(), time.process_time()
    for outcome in play_all(share.seeds):
        played.add(outcome)
        if time.monotonic() - began > share.seconds or len(played.failed) >= share.failures:
            break
    played.cpu = time.process_time() - cpu
    return played


def _seeds(start: int, first: int, apart: int, histories: int | None) -> Iterable[int]:
    return range(start, first + histories, apart) if histories else count(start, apart)


def main() -> int:
    """Play, tell each failing history, say how many there were and how fast. 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long (default 60)")
    parser.add_argument("--histories", type=int, help="how many instead, however long it takes")
    parser.add_argument("--seed", type=int, help="seed of the first history; each further one's is one more")
    parser.add_argument("--failures", type=int, default=3, help="how many failing histories are told (default 3)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    told = parser.parse_args()
    first = random.SystemRandom().randrange(10**9) if told.seed is None else told.seed
    seconds = float("inf") if told.histories else told.seconds
    print(f"seeds from {first}", flush=True)

    began = time.monotonic()
    starts = range(first, first + told.processes)
    shares = [Share(_seeds(start, first, told.processes, told.histories), seconds, told.failures) for start in starts]
    with Pool(told.processes) as pool:
        parts = pool.map(play_share, shares, chunksize=1)
    took = time.monotonic() - began

    failed = sorted((outcome for part in parts for outcome in part.failed), key=lambda outcome: outcome.seed)
    for outcome in failed[: told.failures]:
        print(f"\n{outcome}")
    histories = sum(part.histories for part in parts)
    held = ("orders", "events", "deliveries", "steps")
    each = {what: sum(getattr(part, what) for part in parts) / max(histories, 1) for what in held}
    print(
        f"{histories} histories in {took:.1f} s, {histories / took:.0f} a second on {told.processes} processes "
        f"({histories / sum(part.cpu for part in parts):.0f} a second of a processor); {len(failed) or 'none'} failed\n"
        f"one holds {', '.join(f'{count:.1f} {what}' for what, count in each.items())}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
