"""From which locations an order is served."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inventory.allocation import Shortage, allocate
from shared.events.fields import Allocation, OrderedLine
from tests.unit.inventory.builders import shelves, wanted


def test_an_order_is_served_from_one_location_that_holds_it_whole() -> None:
    stock = shelves(("A", "east", 1), ("A", "west", 5), ("B", "east", 9), ("B", "west", 1))

    allocations = allocate(wanted(("A", 2), ("B", 1)), stock)

    assert allocations == (
        Allocation(sku="A", location="west", quantity=2),
        Allocation(sku="B", location="west", quantity=1),
    )


def test_of_several_locations_that_hold_it_whole_the_first_by_name_is_taken() -> None:
    stock = shelves(("A", "south", 3), ("A", "north", 3))

    assert allocate(wanted(("A", 3)), stock) == (Allocation(sku="A", location="north", quantity=3),)


def test_an_order_that_no_location_holds_whole_is_split_in_the_order_of_their_names() -> None:
    stock = shelves(("A", "c", 2), ("A", "b", 0), ("A", "a", 2))

    allocations = allocate(wanted(("A", 3)), stock)

    assert allocations == (Allocation(sku="A", location="a", quantity=2), Allocation(sku="A", location="c", quantity=1))


def test_two_lines_of_the_same_sku_do_not_take_the_same_piece() -> None:
    stock = shelves(("A", "main", 3))

    assert allocate(wanted(("A", 2), ("A", 2)), stock) == Shortage("out_of_stock", wanted(("A", 1)))


def test_two_lines_of_the_same_sku_are_split_together() -> None:
    stock = shelves(("A", "a", 3), ("A", "b", 1))

    allocations = allocate(wanted(("A", 2), ("A", 2)), stock)

    assert allocations == (
        Allocation(sku="A", location="a", quantity=2),
        Allocation(sku="A", location="a", quantity=1),
        Allocation(sku="A", location="b", quantity=1),
    )


def test_what_is_missing_is_said_line_by_line() -> None:
    stock = shelves(("A", "main", 3), ("B", "main", 9), ("C", "main", 0))

    assert allocate(wanted(("A", 5), ("B", 9), ("C", 1)), stock) == Shortage("out_of_stock", wanted(("A", 2), ("C", 1)))


def test_a_sku_that_no_product_has_is_unknown_and_not_merely_out_of_stock() -> None:
    stock = shelves(("A", "main", 0))

    assert allocate(wanted(("A", 1), ("X", 2)), stock) == Shortage("unknown_sku", wanted(("A", 1), ("X", 2)))


SKUS = st.sampled_from(["A", "B", "C"])
PLACES = st.sampled_from(["a", "b", "c"])


@given(
    stock=st.dictionaries(st.tuples(SKUS, PLACES), st.integers(0, 6), max_size=9),
    order=st.lists(st.tuples(SKUS, st.integers(1, 6)), min_size=1, max_size=5),
)
def test_an_order_is_served_whole_from_what_there_is_or_exactly_its_lack_is_said(
    stock: dict[tuple[str, str], int], order: list[tuple[str, int]]
) -> None:
    there = shelves(*((sku, place, pieces) for (sku, place), pieces in stock.items()))
    lines = wanted(*order)

    answer = allocate(lines, there)

    lack = {sku: max(0, _sum(lines, sku) - sum(n for (s, _), n in stock.items() if s == sku)) for sku, _ in order}
    if isinstance(answer, Shortage):
        assert {sku: _sum(answer.missing, sku) for sku in lack} == lack
        assert answer.reason == ("unknown_sku" if any(sku not in there for sku in lack) else "out_of_stock")
    else:
        assert not any(lack.values())
        assert all(_sum(answer, sku) == _sum(lines, sku) for sku in lack)
        for sku, place in {(each.sku, each.location) for each in answer}:
            assert sum(each.quantity for each in answer if (each.sku, each.location) == (sku, place)) <= stock[sku, place]
        if len({each.location for each in answer}) > 1:
            assert not any(all(stock.get((sku, place), 0) >= _sum(lines, sku) for sku in lack) for place in "abc")


def _sum(lines: tuple[OrderedLine, ...] | tuple[Allocation, ...], sku: str) -> int:
    return sum(line.quantity for line in lines if line.sku == sku)


@pytest.mark.parametrize("quantity", [1, 99_999, 100_000])
def test_an_order_may_take_the_last_piece(quantity: int) -> None:
    assert allocate(wanted(("A", quantity)), shelves(("A", "main", quantity))) == (
        Allocation(sku="A", location="main", quantity=quantity),
    )
