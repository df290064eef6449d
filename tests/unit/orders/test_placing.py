"""Prices come from our own list, and odd orders are shown to a person."""

import pytest
from pydantic import ValidationError

from services.orders import interception, placing
from services.orders.placing import CannotPrice, PlaceOrder
from shared.events.fields import OrderedLine
from shared.money import Money
from tests.builders import a_customer, a_paid_order, an_address

PRICES = {"HP-1001": Money(amount=29900, currency="CNY"), "US-1": Money(amount=999, currency="USD")}


def a_wish(*lines: tuple[str, int], currency: str = "CNY", **fields: object) -> PlaceOrder:
    return PlaceOrder.model_validate(
        {
            "currency": currency,
            "customer": a_customer().model_dump(),
            "ship_to": an_address().model_dump(),
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines],
            "payment": {"channel": "card", "token": "tok_ok"},
        }
        | fields
    )


def test_the_total_is_the_sum_of_quantity_times_our_price() -> None:
    placed = placing.placed("T-1", "/orderbus/orders", a_wish(("HP-1001", 2)), PRICES)

    assert placed.total == Money(amount=59800, currency="CNY")
    assert placed.lines[0].unit_price == 29900


@pytest.mark.parametrize(
    ("lines", "reason", "line"),
    [
        ([("HP-1001", 1), ("NONE", 1)], "unknown_sku", 1),
        ([("HP-1001", 1), ("US-1", 1)], "currency_mismatch", 1),
    ],
)
def test_what_cannot_be_priced_is_refused_with_the_offending_line(lines: list[tuple[str, int]], reason: str, line: int) -> None:
    with pytest.raises(CannotPrice) as refused:
        placing.placed("T-1", "s", a_wish(*lines), PRICES)

    assert (refused.value.reason, refused.value.line) == (reason, line)


def test_a_client_cannot_name_a_price() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        a_wish(("HP-1001", 1), total=1)


@pytest.mark.parametrize("quantity", [0, -1, 100_001])
def test_a_quantity_no_shopper_means_is_refused(quantity: int) -> None:
    with pytest.raises(ValidationError):
        a_wish(("HP-1001", quantity))


def test_more_pieces_than_shoppers_buy_are_shown_to_a_person() -> None:
    lines = [OrderedLine(sku="A", quantity=1000), OrderedLine(sku="B", quantity=1001)]

    assert interception.suspicions(lines, 1000) == ["1001 × B: more than 1000"]


def test_more_pieces_are_shown_on_however_many_lines_they_are() -> None:
    lines = [OrderedLine(sku="A", quantity=1000), OrderedLine(sku="B", quantity=1), OrderedLine(sku="A", quantity=1)]

    assert interception.suspicions(lines, 1000) == ["1001 × A: more than 1000"]


def test_a_total_of_more_than_an_amount_may_be_is_refused() -> None:
    dear = {"HP-1001": Money(amount=10**14, currency="CNY")}

    with pytest.raises(CannotPrice, match="a total of 1100000000000000 is more") as refused:
        placing.placed("T-1", "s", a_wish(("HP-1001", 11)), dear)

    assert (refused.value.reason, refused.value.line) == ("total_too_large", None)
    assert placing.placed("T-1", "s", a_wish(("HP-1001", 10)), dear).total.amount == 10**15


@pytest.mark.parametrize(
    "change",
    [
        {"customer": {"name": "x", "phonee": "+8613800000000"}},
        {"lines": [{"sku": "A", "quantity": 1, "unit_price": 1}]},
        {"lines": [{"sku": "A", "quantity": True}]},
        {"lines": [{"sku": "A", "quantity": "2"}]},
        {"payment": {"channel": "card", "tokn": "tok_ok"}},
        {"customer": {"name": "x", "email": "a\0@b"}},
    ],
    ids=str,
)
def test_what_is_misspelt_is_refused(change: dict[str, object]) -> None:
    wish = a_wish(("HP-1001", 1)).model_dump() | change

    with pytest.raises(ValidationError) as refused:
        PlaceOrder.model_validate(wish)

    assert refused.value.error_count() == 1


def test_a_clean_paid_order_raises_no_suspicion() -> None:
    assert interception.suspicions_of_paid(a_paid_order(), {"HP-1001"}, 1000) == []


@pytest.mark.parametrize("total", [1, 29901])
def test_a_paid_order_with_a_wrong_total_or_an_unknown_article_is_suspicious(total: int) -> None:
    found = interception.suspicions_of_paid(a_paid_order(total=total), set(), 1000)

    assert found == [f"its total of {total} is not the sum of its lines, 29900", "unknown SKU: HP-1001"]


def test_an_order_paid_elsewhere_keeps_the_shops_prices_and_says_who_has_the_money() -> None:
    placed = placing.collected(a_paid_order(total=1), "/shops/a")

    assert (placed.source, placed.collected_by) == ("/shops/a", "/shops/a")
    assert placed.total == Money(amount=1, currency="CNY")
    assert placed.receipt == a_paid_order().payment
