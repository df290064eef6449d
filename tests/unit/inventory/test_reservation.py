"""What becomes of an order's stock."""

from services.inventory.reservation import State
from services.inventory.shelf import Kind
from shared.events.fields import Allocation
from shared.events.stock import StockDeducted, StockLow, StockRejected, StockReleased, StockReserved
from tests.unit.inventory.builders import (
    EXPIRES_AT,
    Warehouse,
    cancelled,
    paid,
    placed,
    released,
    shelves,
    stays,
    wanted,
)

ONE_OF_TEN = (Allocation(sku="A", location="main", quantity=1),)


def a_warehouse(pieces: int = 10, threshold: int = 0) -> Warehouse:
    return Warehouse(shelves(("A", "main", pieces), threshold=threshold))


def test_a_placed_order_has_its_stock_set_aside_for_a_while() -> None:
    warehouse = a_warehouse().tell(placed(("A", 1)))

    assert warehouse.said == [StockReserved(order_id="T-1", allocations=ONE_OF_TEN, expires_at=EXPIRES_AT)]
    assert warehouse.of().state is State.RESERVED
    assert warehouse.on_shelf("A") == (10, 1)


def test_stock_for_an_order_whose_shop_has_the_money_is_deducted_at_once() -> None:
    warehouse = a_warehouse().tell(placed(("A", 1), collected_by="/shops/a"))

    assert warehouse.said == [
        StockReserved(order_id="T-1", allocations=ONE_OF_TEN),
        StockDeducted(order_id="T-1", allocations=ONE_OF_TEN),
    ]
    assert warehouse.of().expires_at is None


def test_an_order_whose_shop_has_the_money_stays_so_whatever_is_told_of_it_later() -> None:
    warehouse = a_warehouse().tell(placed(("A", 1), collected_by="/shops/a")).tell(placed(("A", 1)))

    assert warehouse.of().is_paid_for
    assert warehouse.of().state is State.COMMITTED


def test_an_order_is_reserved_whole_or_not_at_all() -> None:
    warehouse = Warehouse(shelves(("A", "main", 5), ("B", "main", 0))).tell(placed(("A", 1), ("B", 1)))

    assert warehouse.said == [StockRejected(order_id="T-1", reason="out_of_stock", missing=wanted(("B", 1)))]
    assert warehouse.on_shelf("A") == (5, 0)


def test_a_shop_that_has_the_money_is_told_so_with_the_rejection() -> None:
    warehouse = a_warehouse(pieces=0).tell(placed(("A", 1), collected_by="/shops/a"))

    assert warehouse.said == [StockRejected(order_id="T-1", reason="out_of_stock", missing=wanted(("A", 1)), paid=True)]


def test_the_last_piece_goes_to_the_order_that_came_first() -> None:
    warehouse = a_warehouse(pieces=1).tell(placed(("A", 1), order_id="first"), placed(("A", 1), order_id="second"))

    assert warehouse.of("first").state is State.RESERVED
    assert warehouse.of("second").state is State.REJECTED


def test_an_order_too_large_does_not_stand_in_the_way_of_the_next() -> None:
    warehouse = a_warehouse(pieces=2).tell(placed(("A", 3), order_id="large"), placed(("A", 2), order_id="small"))

    assert warehouse.of("large").state is State.REJECTED
    assert warehouse.of("small").state is State.RESERVED


def test_a_paid_orders_pieces_leave_the_books() -> None:
    warehouse = a_warehouse().tell(placed(("A", 1))).tell(paid(("A", 1)))

    assert warehouse.said[-1] == StockDeducted(order_id="T-1", allocations=ONE_OF_TEN)
    assert warehouse.of().expires_at is None
    assert warehouse.on_shelf("A") == (9, 0)


def test_an_order_paid_twice_is_deducted_once() -> None:
    warehouse = a_warehouse().tell(placed(("A", 1))).tell(paid(("A", 1)), paid(("A", 1))).tell(paid(("A", 1)))

    assert warehouse.types_said() == ["stock.reserved", "stock.deducted"]


def test_a_payment_that_comes_before_its_order_takes_the_stock_and_the_late_order_changes_nothing() -> None:
    warehouse = a_warehouse().tell(paid(("A", 1)))
    before = warehouse.of()

    warehouse.tell(placed(("A", 1)))

    assert warehouse.types_said() == ["stock.reserved", "stock.deducted"]
    assert warehouse.of() == before
    assert warehouse.on_shelf("A") == (9, 0)


def test_stock_of_an_order_that_was_not_paid_in_time_can_be_sold_again() -> None:
    warehouse = a_warehouse().tell(placed(("A", 1))).expire()

    assert warehouse.said[-1] == StockReleased(order_id="T-1", reason="expired")
    assert warehouse.of().state is State.EXPIRED
    assert warehouse.on_shelf("A") == (10, 0)


def test_stock_that_ran_out_of_time_is_not_set_aside_again_before_its_order_is_paid() -> None:
    warehouse = a_warehouse().tell(placed(("A", 1))).expire().tell(placed(("A", 1)), released())

    assert warehouse.types_said() == ["stock.reserved", "stock.released"]
    assert (warehouse.of().state, warehouse.on_shelf("A")) == (State.EXPIRED, (10, 0))


def test_an_order_paid_after_its_reservation_expired_takes_its_stock_again() -> None:
    warehouse = a_warehouse().tell(placed(("A", 1))).expire().tell(paid(("A", 1)))

    assert warehouse.types_said()[-2:] == ["stock.reserved", "stock.deducted"]
    assert warehouse.on_shelf("A") == (9, 0)


def test_an_order_paid_after_its_stock_went_to_another_is_rejected_as_paid() -> None:
    warehouse = a_warehouse(pieces=1).tell(placed(("A", 1))).expire().tell(placed(("A", 1), order_id="quicker"))

    warehouse.tell(paid(("A", 1)))

    assert warehouse.said[-1] == StockRejected(order_id="T-1", reason="out_of_stock", missing=wanted(("A", 1)), paid=True)


def test_a_paid_order_that_found_no_stock_is_served_when_a_person_releases_it_after_a_delivery() -> None:
    warehouse = a_warehouse(pieces=0).tell(placed(("A", 1))).tell(paid(("A", 1)))

    warehouse.deliver("A", 3).tell(released())

    assert warehouse.types_said()[-2:] == ["stock.reserved", "stock.deducted"]
    assert warehouse.of().state is State.COMMITTED
    assert warehouse.on_shelf("A") == (2, 0)


def test_a_released_order_that_still_finds_no_stock_is_rejected_again() -> None:
    warehouse = a_warehouse(pieces=0).tell(placed(("A", 1))).tell(released())

    assert warehouse.types_said() == ["stock.rejected", "stock.rejected"]


def test_releasing_an_order_that_stock_did_not_stop_changes_nothing() -> None:
    warehouse = a_warehouse().tell(placed(("A", 1))).tell(released())

    assert warehouse.types_said() == ["stock.reserved"]


def test_a_cancelled_orders_stock_can_be_sold_again() -> None:
    warehouse = a_warehouse().tell(placed(("A", 1))).tell(cancelled())

    assert warehouse.said[-1] == StockReleased(order_id="T-1", reason="cancelled")
    assert warehouse.on_shelf("A") == (10, 0)
    assert warehouse.ledger[-1].kind is Kind.RELEASED


def test_pieces_of_an_order_cancelled_after_it_was_paid_go_back_on_the_shelf_once_there_will_be_no_parcel() -> None:
    warehouse = a_warehouse().tell(placed(("A", 1))).tell(paid(("A", 1))).tell(cancelled())
    assert (warehouse.of().state, warehouse.on_shelf("A")) == (State.COMMITTED, (9, 0))

    warehouse.tell(stays(), stays())

    assert warehouse.said[-1] == StockReleased(order_id="T-1", reason="cancelled")
    assert warehouse.ledger[-1].kind is Kind.RESTOCKED
    assert (warehouse.of().state, warehouse.on_shelf("A")) == (State.CANCELLED, (10, 0))


def test_pieces_whose_parcel_has_left_do_not_go_back_on_the_shelf_with_the_cancellation() -> None:
    warehouse = a_warehouse().tell(placed(("A", 1))).tell(paid(("A", 1))).tell(cancelled(), released())

    assert "stock.released" not in warehouse.types_said()
    assert warehouse.on_shelf("A") == (9, 0)


def test_that_there_will_be_no_parcel_may_be_heard_before_all_else() -> None:
    warehouse = a_warehouse().tell(stays()).tell(placed(("A", 1))).tell(paid(("A", 1))).tell(cancelled())

    assert (warehouse.of().state, warehouse.on_shelf("A")) == (State.CANCELLED, (10, 0))


def test_an_order_cancelled_before_it_is_known_gets_nothing() -> None:
    warehouse = a_warehouse().tell(cancelled()).tell(placed(("A", 1))).tell(paid(("A", 1))).tell(released())

    assert warehouse.said == []
    assert warehouse.of().state is State.CANCELLED


def test_cancelling_a_rejected_or_expired_order_gives_nothing_back_twice() -> None:
    rejected = a_warehouse(pieces=0).tell(placed(("A", 1))).tell(cancelled())
    expired = a_warehouse().tell(placed(("A", 1))).expire().tell(cancelled())

    assert rejected.types_said() == ["stock.rejected"]
    assert expired.types_said() == ["stock.reserved", "stock.released"]


def test_low_stock_is_said_once_each_time_it_falls_below_its_threshold() -> None:
    warehouse = a_warehouse(pieces=6, threshold=5)

    warehouse.tell(placed(("A", 1), order_id="to-five"))
    warehouse.tell(placed(("A", 1), order_id="to-four"))
    warehouse.tell(placed(("A", 1), order_id="to-three"))
    warehouse.tell(cancelled("to-four"), cancelled("to-three"))
    warehouse.tell(placed(("A", 2), order_id="to-three-again"))

    assert [event for event in warehouse.said if event.type == StockLow.type] == [
        StockLow(sku="A", available=4, threshold=5),
        StockLow(sku="A", available=3, threshold=5),
    ]


def test_paying_for_what_was_set_aside_does_not_make_stock_any_lower() -> None:
    warehouse = a_warehouse(pieces=5, threshold=5).tell(placed(("A", 1))).tell(paid(("A", 1)))

    assert warehouse.types_said().count("stock.low") == 1
