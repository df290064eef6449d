"""Which facts of others an order is looked up for."""

import pytest

from services.orders.handlers import is_only_noted
from shared.events import Event
from shared.events.stock import StockDeducted, StockReserved
from tests.unit.orders.telling import NOW, captured


@pytest.mark.parametrize(
    ("fact", "is_noted"),
    [
        (StockReserved(order_id="T-1", allocations=(), expires_at=NOW), True),  # to be charged for: the charge will say it
        (StockReserved(order_id="T-1", allocations=()), False),  # a shop has the money, and the order waits for this
        (StockDeducted(order_id="T-1", allocations=()), True),
        (captured(), False),
    ],
)
def test_a_fact_from_which_nothing_follows_is_only_noted(fact: Event, is_noted: bool) -> None:
    assert is_only_noted(fact) is is_noted
