"""Whatever comes twice, late, out of order or joined with others: the same end, and stock that adds up."""

from collections import Counter
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from services.inventory.reservation import Fact, State
from shared.events.stock import StockDeducted, StockReleased, StockReserved
from tests.unit.inventory.builders import Warehouse, cancelled, paid, placed, released, shelves, stays

LINES = (("A", 2), ("B", 1), ("A", 1))


def the_facts(*, collected: bool) -> tuple[Fact, ...]:
    sold = placed(*LINES, collected_by="/shops/a" if collected else None)
    return sold, paid(*LINES), cancelled(), stays(), released()


@given(
    collected=st.booleans(),
    chosen=st.sets(st.integers(0, 4), min_size=1),
    pieces=st.sampled_from([0, 2, 3, 9]),
    data=st.data(),
)
def test_an_orders_facts_lead_to_the_same_end_in_every_sequence(
    collected: bool, chosen: set[int], pieces: int, data: st.DataObject
) -> None:
    if 2 in chosen:  # whether there is a parcel is always said of what is cancelled; if there is one, that is the end
        chosen = {*chosen, 3}
    facts: list[Fact] = [the_facts(collected=collected)[i] for i in sorted(chosen)]
    again = data.draw(st.lists(st.sampled_from(facts), max_size=4))
    told = data.draw(st.permutations([*facts, *again]))
    stock = shelves(("A", "a", pieces), ("A", "b", 1), ("B", "b", 4))

    plainly, wildly = Warehouse(stock), Warehouse(stock)
    for fact in facts:
        plainly.tell(fact)
    for fact in told:
        wildly.tell(fact)

    assert wildly.of() == plainly.of()
    assert wildly.shelves == plainly.shelves


@given(data=st.data())
def test_a_reservation_that_expired_in_between_makes_no_difference_to_a_paid_order(data: st.DataObject) -> None:
    facts: list[Fact] = [placed(*LINES), paid(*LINES), placed(*LINES)]
    told = data.draw(st.permutations(facts))
    expires_after = data.draw(st.sets(st.integers(0, 2)))
    stock = shelves(("A", "main", 3), ("B", "main", 1))

    plainly, wildly = Warehouse(stock).tell(*told), Warehouse(stock)
    for i, fact in enumerate(told):
        wildly.tell(fact)
        if i in expires_after:
            wildly.expire()

    assert wildly.of() == plainly.of()
    assert wildly.of().state is State.COMMITTED


ORDERS = {
    "T-1": (("A", 1),),
    "T-2": (("A", 2), ("B", 1)),
    "T-3": (("B", 2), ("A", 1), ("B", 1)),
    "T-4": (("A", 3), ("X", 1)),
}
ORDER_IDS = st.sampled_from(sorted(ORDERS))

FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.builds(
        lambda which, shop: placed(*ORDERS[which], order_id=which, collected_by=shop),
        ORDER_IDS,
        st.sampled_from([None, "/shops/a"]),
    ),
    st.builds(lambda which: paid(*ORDERS[which], order_id=which), ORDER_IDS),
    st.builds(cancelled, ORDER_IDS),
    st.builds(stays, ORDER_IDS),
    st.builds(released, ORDER_IDS),
)
STEPS: st.SearchStrategy[Callable[[Warehouse], Warehouse]] = st.one_of(
    st.lists(FACTS, min_size=1, max_size=5).map(lambda facts: lambda warehouse: warehouse.tell(*facts)),
    ORDER_IDS.map(lambda which: lambda warehouse: warehouse.expire(which)),
    st.sampled_from(["A", "B"]).map(lambda sku: lambda warehouse: warehouse.deliver(sku, 1, "a")),
)


@given(
    steps=st.lists(STEPS, max_size=15),
    pieces=st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)),
)
def test_stock_never_falls_below_zero_and_always_adds_up(
    steps: list[Callable[[Warehouse], Warehouse]], pieces: tuple[int, int, int]
) -> None:
    a, b, elsewhere = pieces
    warehouse = Warehouse(shelves(("A", "a", a), ("A", "b", elsewhere), ("B", "a", b), ("B", "b", elsewhere)))

    for step in steps:
        step(warehouse)

        _no_shelf_is_below_zero(warehouse)
        _the_ledger_explains_every_shelf(warehouse)
        _what_is_set_aside_is_what_orders_hold(warehouse)
        _orders_hold_all_their_lines_or_nothing(warehouse)
        _what_was_said_is_what_is_held(warehouse)


def _no_shelf_is_below_zero(warehouse: Warehouse) -> None:
    for stock in warehouse.shelves.values():
        assert all(0 <= shelf.reserved <= shelf.on_hand for shelf in stock.shelves)


def _the_ledger_explains_every_shelf(warehouse: Warehouse) -> None:
    for stock in warehouse.shelves.values():
        for shelf in stock.shelves:
            here = [m for m in warehouse.ledger if (m.sku, m.location) == (stock.sku, shelf.location)]
            at_first = warehouse.at_first[stock.sku].at(shelf.location)
            assert shelf.on_hand == at_first.on_hand + sum(m.on_hand_change for m in here)
            assert shelf.reserved == at_first.reserved + sum(m.reserved_change for m in here)


def _what_is_set_aside_is_what_orders_hold(warehouse: Warehouse) -> None:
    held: Counter[tuple[str, str]] = Counter()
    for each in warehouse.reservations.values():
        if each.state is State.RESERVED:
            for allocation in each.allocations:
                held[allocation.sku, allocation.location] += allocation.quantity
    for stock in warehouse.shelves.values():
        assert all(shelf.reserved == held[stock.sku, shelf.location] for shelf in stock.shelves)


def _orders_hold_all_their_lines_or_nothing(warehouse: Warehouse) -> None:
    for each in warehouse.reservations.values():
        holds = each.state in (State.RESERVED, State.COMMITTED)
        assert bool(each.allocations) == holds
        assert bool(each.shortage) == (each.state is State.REJECTED)
        assert each.expires_at is None or (each.state is State.RESERVED and not each.is_paid_for)
        assert each.state is not State.COMMITTED or each.is_paid_for
        if holds:
            allocated, ordered = Counter[str](), Counter[str]()
            for allocation in each.allocations:
                allocated[allocation.sku] += allocation.quantity
            for line in each.lines:
                ordered[line.sku] += line.quantity
            assert allocated == ordered


def _what_was_said_is_what_is_held(warehouse: Warehouse) -> None:
    for order_id, each in warehouse.reservations.items():
        said = [
            event
            for event in warehouse.said
            if isinstance(event, StockReserved | StockDeducted | StockReleased) and event.order_id == order_id
        ]
        match said[-1:]:
            case [StockReserved() as last]:
                assert (each.state, each.allocations) == (State.RESERVED, last.allocations)
            case [StockDeducted() as last]:
                assert (each.state, each.allocations) == (State.COMMITTED, last.allocations)
            case _:
                assert each.allocations == ()
