"""What is measured, a function a figure."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from tests.load import growing
from tests.load.clients import carry_out
from tests.load.costs import Figure, Measured, figure_of
from tests.load.installation import Installation
from tests.load.judging import at_rest, complaints_of
from tests.load.load import Load, Way
from tests.load.purchases import sku
from tests.load.scale import Scale
from tests.load.showing import Show
from tests.load.stocking import stock

RATES = (10, 100, 300)
STORED = ("growth", "reads")
"""Those that fill the store: after them it is not what it was for the others."""

KEYWORDS = ("无线耳机", "蓝牙", "键盘 12", "B-0000", "batch 77", "保温")
ARTICLES = 1_000
"""The first ones, of which all loads buy that do not say otherwise."""

NO_END = 10**9
"""Orders of a load that is bounded by time."""


@dataclass(slots=True)
class Bench:
    """One installation, and how much of each load."""

    installation: Installation
    scale: Scale
    show: Show
    next_sku: int = 0
    loads: int = 0

    async def stock(self, skus: int, **pieces: int) -> int:
        """So many fresh articles; the number of the first."""
        first, self.next_sku = self.next_sku, self.next_sku + skus
        await stock(self.installation.servers, first, skus, **pieces)
        return first

    async def load(self, load: Load, expected: Mapping[str, int] | None = None) -> Measured:
        """Carry it out, under a name of its own, once nothing else is on its way."""
        self.loads += 1
        complaints = await at_rest(self.installation.servers)
        named = replace(load, name=f"{load.name}-{self.loads}")
        outcome, before, after = await carry_out(self.installation, named, self.show.follow)
        complaints += complaints_of(outcome, expected or {"tracking.pushed": outcome.orders})
        return Measured(outcome, before, after, complaints)

    async def median(self, load: Load, expected: Mapping[str, int] | None = None) -> Figure:
        """Several runs of it, of which the middle one stands for all."""
        return figure_of([await self.load(load, expected) for _ in range(self.scale.runs)], at_a_rate=load.rate > 0)

    async def prepare(self) -> None:
        """There are articles, and what is measured has run before: statements are prepared, connections made, memory taken."""
        await self.stock(ARTICLES)
        ways: tuple[Way, ...] = ("submitted", "paid", "http")
        for way in ways if self.scale.warming_orders else ():
            await self.load(Load(way, "warming", self.scale.warming_orders))


async def events_in(bench: Bench) -> Figure:
    """order.submitted from another system, on account, by our own fleet: the whole saga, no partner."""
    return await bench.median(Load("submitted", "events_in", bench.scale.orders))


async def paid_in(bench: Bench) -> Figure:
    """order.paid from another system, by our own fleet."""
    return await bench.median(Load("paid", "paid_in", bench.scale.orders))


async def http(bench: Bench) -> Figure:
    """POST /api/orders from 64 connections, one order each, on account, by our own fleet."""
    return await bench.median(Load("http", "http", NO_END, seconds=bench.scale.http_seconds))


async def partners(bench: Bench) -> Figure:
    """The same, paid by card and carried by a carrier over HTTP; both are the sandbox."""
    load = Load("http", "partners", NO_END, seconds=bench.scale.partners_seconds, channel="card", country="DE")
    return await bench.median(load)


async def latency(bench: Bench) -> Figure:
    """Orders at their own times, 10, 100 and 300 a second: from the time an order is due to its tracking number."""
    by_rate, seconds = {}, bench.scale.latency_seconds
    for rate in RATES:
        by_rate[str(rate)] = await bench.median(Load("http", f"latency-{rate}", NO_END, seconds=seconds, rate=rate))
    return Figure.of_several(by_rate)


async def hot(bench: Bench) -> Figure:
    """A flash sale: everybody wants one piece of the same article, and there are not enough."""
    orders, pieces = bench.scale.hot_orders, bench.scale.hot_pieces
    runs = []
    for _ in range(bench.scale.runs):
        article = await bench.stock(1, pieces=pieces)
        load = Load("submitted", "hot", orders, lines=1, first_sku=article, skus=1)
        run = await bench.load(load, {"tracking.pushed": pieces, "order.cancelled": orders - pieces})
        ((left,),) = await bench.installation.servers.fetch("SELECT on_hand FROM inventory.shelf WHERE sku = $1", sku(article))
        run.complaints += [f"{left} pieces are left on the shelf"] if left else []
        runs.append(run)
    figure = figure_of(runs)
    figure.values["sold"] = {"pieces": pieces, "orders": [run.outcome.ends.get("tracking.pushed", 0) for run in runs]}
    return figure


async def wide(bench: Bench) -> Figure:
    """50 lines an order."""
    return await bench.median(Load("submitted", "wide", bench.scale.wide_orders, lines=50))


async def growth(bench: Bench) -> Figure:
    """The cost of an order, as more and more are stored."""
    by_stored: dict[str, Figure] = {}
    for stored in bench.scale.growth:
        bench.show.say(f"storing orders, until there are {stored:,}")
        await growing.store(bench.installation.servers, stored)
        by_stored[str(stored)] = await bench.median(Load("submitted", f"growth-{stored}", bench.scale.growth_orders))
    figure = Figure.of_several(by_stored)
    first, last = (
        by_stored[str(scale)].values["cpu_ms_per_order"] for scale in (min(bench.scale.growth), max(bench.scale.growth))
    )
    figure.values["cost_grows_by"] = round(last / first - 1, 3)
    return figure


async def reads(bench: Bench) -> Figure:
    """Products by keyword and orders by id, 50 a second of each, while 100 orders a second come in."""
    servers, scale = bench.installation.servers, bench.scale
    if (more := scale.products - bench.next_sku) > 0:
        await bench.stock(more)
    bench.show.say(f"storing orders, until there are {scale.stored:,}")
    await growing.store(servers, scale.stored)
    known = [row["id"] for row in await servers.fetch("SELECT id FROM orders.orders ORDER BY random() LIMIT 1000")]
    load = Load("http", "reads", NO_END, seconds=scale.reads_seconds, rate=100, reads=100)
    return await bench.median(replace(load, keywords=list(KEYWORDS), order_ids=known))


FIGURES: dict[str, Callable[[Bench], Awaitable[Figure]]] = {
    function.__name__: function for function in (events_in, paid_in, http, partners, latency, hot, wide, growth, reads)
}
