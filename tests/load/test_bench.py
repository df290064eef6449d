"""The bench measures what it says, on a handful of orders: how fast it was is not asked here."""

from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from deploy.stack import postgres, rabbitmq, redis
from tests.load import suite
from tests.load.load import Load, percentile
from tests.load.meter import COSTS
from tests.load.plot import draw
from tests.load.purchases import baskets, events
from tests.load.results import Findings, tables
from tests.load.scale import Scale
from tests.load.showing import Lines

BRIEF = Scale(
    runs=1,
    floor_orders=100,
    warming_orders=0,
    orders=120,
    hot_orders=40,
    hot_pieces=10,
    growth=(),
    reads_seconds=1,
    products=1_500,
    stored=1_000,
)


@pytest.mark.timeout(300)
@pytest.mark.skipif(
    not all(server.is_installed() for server in (postgres, rabbitmq, redis)), reason="the bench needs the servers' own programs"
)
def test_every_order_of_every_load_ends_as_it_should_and_its_cost_is_told(tmp_path: Path) -> None:
    findings = suite.run(["events_in", "hot", "reads"], BRIEF, 1, Lines(_paper()))

    told = findings.as_dict()
    assert told["complaints"] == {}
    assert told["ok"]
    assert told["floor"]["before"]["orders"] == told["floor"]["after"]["orders"] == BRIEF.floor_orders
    assert told["events_in"]["orders"] == BRIEF.orders
    assert set(told["memory_mb_at_rest"]) == {"orders", "inventory", "payments", "logistics"}
    assert set(told["events_in"]["cpu_ms_per_order_of"]) == set(COSTS)
    for measured in ("orders_per_second", "of_floor", "p50_ms", "p99_ms", "cpu_ms_per_order", "amqp_messages_per_order"):
        assert told["events_in"][measured] > 0, measured
    assert told["hot"]["sold"] == {"pieces": BRIEF.hot_pieces, "orders": [BRIEF.hot_pieces]}
    assert told["reads"]["search"]["p99_ms"] > 0
    assert told["reads"]["order"]["p99_ms"] > 0
    _is_shown(findings, tmp_path / "picture.svg")


def _is_shown(findings: Findings, picture: Path) -> None:
    paper = _paper()
    for table in tables(findings):
        paper.print(table)
    draw(findings, picture)

    printed = paper.export_text()
    assert [name for name in ("floor before", "floor after", *findings.figures) if name not in printed] == []
    drawn = "".join(ElementTree.fromstring(picture.read_text()).itertext())
    assert all(name in drawn for name in ("floor", "events_in", "hot"))


def _paper() -> Console:
    return Console(file=StringIO(), width=80, record=True)


def test_the_same_load_buys_the_same() -> None:
    load = Load("paid", "bench-1", orders=20)

    told = dict(events(load, "/shops/bench"))

    assert len(told) == 20
    assert next(baskets(load)) == next(baskets(load))


def test_an_unknown_figure_is_refused() -> None:
    with pytest.raises(LookupError, match="evnts_in"):
        suite.chosen(["evnts_in"], BRIEF)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert percentile([], 0.5) is None
