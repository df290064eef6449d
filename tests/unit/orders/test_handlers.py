"""Which facts of others an order is looked up for."""

from datetime import timedelta

import pytest

from services.orders.handlers import is_only_noted
from shared.events import Event
from shared.events.stock import StockDeducted, StockReserved
from tests.unit.orders.telling import NOW, captured, heard

TO_BE_CHARGED_FOR = StockReserved(order_id="T-1", allocations=(), expires_at=NOW)
PAID_FOR = StockReserved(order_id="T-1", allocations=())


@pytest.mark.parametrize(
    ("fact", "is_noted"),
    [
        (heard(TO_BE_CHARGED_FOR), True),  # the charge will say it
        (heard(PAID_FOR), False),  # a shop has the money, and the order waits for this
        (heard(StockDeducted(order_id="T-1", allocations=())), True),
        (captured(), False),
    ],
)
def test_a_fact_from_which_nothing_follows_is_only_noted(fact: Event, is_noted: bool) -> None:
    assert is_only_noted(fact, alone_since=NOW) is is_noted


def test_while_a_process_of_the_release_before_may_hear_of_the_charge_it_must_find_that_stock_is_reserved() -> None:
    assert not is_only_noted(heard(TO_BE_CHARGED_FOR), alone_since=NOW + timedelta(seconds=1))
