"""Corrections of stock."""

import pytest

from services.inventory.shelf import BelowReserved, Kind, Movement, UnknownSku, adjust, adjusted
from shared.events.stock import StockAdjusted, StockLow
from tests.unit.inventory.builders import shelves


def test_pieces_found_are_added_to_their_shelf() -> None:
    stock = shelves(("A", "main", 1), ("A", "west", 2))

    movement = adjust(stock, "A", "west", 3, "found")

    assert movement == Movement("A", "west", Kind.ADJUSTED, on_hand_change=3, reason="found")
    assert adjusted(stock, movement) == [StockAdjusted(sku="A", location="west", quantity=3, available=6, reason="found")]


def test_pieces_that_are_set_aside_cannot_be_taken_away() -> None:
    stock = shelves(("A", "main", 3)).after([Movement("A", "main", Kind.RESERVED, reserved_change=2, order_id="T-1")])

    assert adjust(stock, "A", "main", -1, "broken").on_hand_change == -1
    with pytest.raises(BelowReserved, match="main has 3 of A, 2 of them set aside for orders: 2 cannot be taken away"):
        adjust(stock, "A", "main", -2, "broken")


def test_pieces_in_another_location_do_not_help() -> None:
    with pytest.raises(BelowReserved):
        adjust(shelves(("A", "main", 1), ("A", "west", 9)), "A", "main", -2, "broken")


def test_nothing_can_be_taken_from_where_nothing_lies() -> None:
    with pytest.raises(BelowReserved, match="east has 0 of A"):
        adjust(shelves(("A", "main", 1)), "A", "east", -1, "broken")


def test_a_sku_that_no_product_has_cannot_be_corrected() -> None:
    with pytest.raises(UnknownSku, match="no product has the SKU X"):
        adjust(shelves(("A", "main", 1)), "X", "main", 1, "found")


@pytest.mark.parametrize(("quantity", "is_low"), [(-1, False), (-2, True)])
def test_a_correction_that_makes_stock_low_says_so(quantity: int, is_low: bool) -> None:
    stock = shelves(("A", "main", 6), threshold=5)

    events = adjusted(stock, adjust(stock, "A", "main", quantity, "broken"))

    assert (StockLow(sku="A", available=6 + quantity, threshold=5) in events) == is_low
