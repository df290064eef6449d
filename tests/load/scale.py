"""How much of each load."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """`runs`: of each load, of which the middle one counts; seconds and orders: of one run."""

    runs: int = 3
    floor_orders: int = 20_000
    warming_orders: int = 1_000
    orders: int = 20_000
    http_seconds: float = 60
    partners_seconds: float = 20
    latency_seconds: float = 30
    hot_orders: int = 10_000
    hot_pieces: int = 1_000
    wide_orders: int = 2_000
    growth: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    growth_orders: int = 3_000
    reads_seconds: float = 30
    products: int = 100_000
    stored: int = 1_000_000


QUICK = Scale(
    runs=1,
    floor_orders=6_000,
    warming_orders=300,
    orders=3_000,
    http_seconds=5,
    partners_seconds=3,
    latency_seconds=3,
    hot_orders=1_000,
    hot_pieces=100,
    wide_orders=100,
    growth=(),
    reads_seconds=4,
    products=5_000,
    stored=15_000,
)
"""A minute or so altogether."""
