"""The bench measures what it says, on a handful of orders: how fast it was is not asked here."""

import pytest
from rich.console import Console

from deploy.stack import postgres, rabbitmq, redis
from tests.load import suite
from tests.load.load import Load, percentile
from tests.load.purchases import baskets, events
from tests.load.results import Findings, tables
from tests.load.scale import Scale
from tests.load.showing import Lines

pytestmark = pytest.mark.xdist_group("bench")
"""One worker: the run below is made once."""

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


@pytest.fixture(scope="module")
def findings() -> Findings:
    if not all(server.is_installed() for server in (postgres, rabbitmq, redis)):
        pytest.skip("the bench needs the servers' own programs")
    return suite.run(["events_in", "hot", "reads"], BRIEF, 1, Lines(Console(quiet=True)))


def test_every_order_of_every_load_ends_as_it_should_and_all_adds_up(findings: Findings) -> None:
    assert [line for figure in findings.figures.values() for line in figure.complaints] == []
    assert findings.ok


def test_each_figure_says_what_an_order_costs(findings: Findings) -> None:
    figure = findings.as_dict()["events_in"]

    assert figure["orders"] == BRIEF.orders
    assert set(figure["cpu_ms_per_order_of"]) == {"orders", "inventory", "payments", "logistics", "postgres", "rabbitmq"}
    for measured in ("orders_per_second", "of_floor", "p50_ms", "p99_ms", "cpu_ms_per_order", "amqp_messages_per_order"):
        assert figure[measured] > 0, measured
    assert figure["sql_round_trips_per_order"] is None or figure["sql_round_trips_per_order"] > 0


def test_the_floor_is_measured_before_and_after(findings: Findings) -> None:
    floor = findings.as_dict()["floor"]

    assert floor["before"]["orders"] == floor["after"]["orders"] == BRIEF.floor_orders
    assert floor["orders_per_second"] > 0


def test_of_a_flash_sale_exactly_what_is_there_is_sold(findings: Findings) -> None:
    assert findings.as_dict()["hot"]["sold"] == {"pieces": 10, "orders": [10]}


def test_reads_are_measured_among_many_stored_orders(findings: Findings) -> None:
    figure = findings.as_dict()["reads"]

    assert figure["search"]["p99_ms"] > 0
    assert figure["order"]["p99_ms"] > 0


def test_the_tables_name_every_figure(findings: Findings) -> None:
    paper = Console(width=200, record=True, quiet=True)
    for table in tables(findings):
        paper.print(table)

    told = paper.export_text()
    assert all(name in told for name in ("floor before", "floor after", *findings.figures))


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
