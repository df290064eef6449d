"""What a client is asked to do, and what it saw: both travel as JSON between the bench and the client's own process."""

from dataclasses import dataclass, field
from typing import Literal

Way = Literal["submitted", "paid", "http"]


@dataclass(frozen=True, slots=True)
class Load:
    """Orders, as fast as they are taken; or, with a `rate`, each at its own time, whatever became of those before.

    `orders`: at most so many; `seconds`: none is begun later. `first_sku` and `skus`: which articles they choose from;
    `keywords` and `order_ids`: what is read meanwhile, `reads` times a second.
    """

    way: Way
    name: str
    orders: int
    seconds: float = 0.0
    rate: float = 0.0
    connections: int = 64
    lines: int = 3
    first_sku: int = 0
    skus: int = 1000
    channel: str = "invoice"
    country: str = "CN"
    reads: float = 0.0
    keywords: list[str] = field(default_factory=list)
    order_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Client:
    """How a client gets in: by AMQP as an external system, by HTTP with a token. `queue`: where it hears the ends."""

    bus_url: str
    exchange: str
    queue: str
    source: str
    token: str
    orders_urls: list[str]
    inventory_urls: list[str]


@dataclass(slots=True)
class Outcome:
    """`latencies`: milliseconds from the moment an order was handed in, or should have been, to its end. `ends`: how many
    ended with which event. `backlog`: while orders are handed in, seconds since the start and how many have not ended."""

    orders: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    ends: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    answers: list[float] = field(default_factory=list)
    """Milliseconds from the same moment to the answer of `POST /api/orders`."""

    reads: dict[str, list[float]] = field(default_factory=dict)
    """Milliseconds of each read, by what was read."""

    backlog: list[tuple[float, int]] = field(default_factory=list)
    cpu_seconds: float = 0.0
    errors: list[str] = field(default_factory=list)


def percentile(values: list[float], share: float) -> float | None:
    """The value that so large a share of them does not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)
