"""What is given back of an order, by whom, and how much."""

import pytest

from services.orders import lifecycle, refunding
from services.orders.learning import NotTheirsToSay, learn
from services.orders.order import Order, Status
from shared.events.orders import OrderCancelled, RefundRequested
from shared.events.payments import PaymentRefunded
from shared.problems import Conflict
from tests.unit.orders.telling import (
    NOW,
    OF_CANCELLATION,
    SHOP,
    TOTAL,
    an_order,
    captured,
    cny,
    given_back,
    heard,
    refused,
    reserved,
    shipped,
)


def test_part_of_a_shipped_order_is_refunded_and_never_more_than_was_paid() -> None:
    order = an_order(reserved(), captured(), shipped())

    after = refunding.refund(order, "r1", 10000, "scratched", "lin")

    (asked,) = lifecycle.follows(order, after)
    assert isinstance(asked, RefundRequested)
    assert (asked.amount.amount, asked.asked_by) == (10000, "lin")
    with pytest.raises(Conflict, match="19900"):
        refunding.refund(after, "r2", 19901, "more")


def test_asking_for_a_refund_twice_is_asking_once() -> None:
    asked = refunding.refund(an_order(reserved(), captured(), shipped()), "r1", None, "all")

    assert refunding.refund(asked, "r1", None, "all") == asked


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_and_less_cannot_be_refunded(amount: int) -> None:
    with pytest.raises(Conflict, match="29900"):
        refunding.refund(an_order(reserved(), captured(), shipped()), "r1", amount, "none")


def test_the_last_cent_can_be_refunded() -> None:
    order = refunding.refund(an_order(reserved(), captured(), shipped()), "r1", TOTAL.amount - 1, "most of it")

    [asked] = lifecycle.follows(order, refunding.refund(order, "r2", None, "the rest"))

    assert isinstance(asked, RefundRequested)
    assert asked.amount.amount == 1


def test_cancelling_gives_back_what_was_not_refunded_before_to_the_last_cent() -> None:
    partly = refunding.refund(an_order(reserved(), captured()), "r1", TOTAL.amount - 1, "most of it")

    cancelled, asked = lifecycle.follows(partly, lifecycle.cancel(partly, "no", NOW))

    assert isinstance(cancelled, OrderCancelled)
    assert isinstance(asked, RefundRequested)
    assert asked.amount.amount == 1


def test_all_of_an_order_that_has_not_left_is_cancelled_instead_of_refunded() -> None:
    with pytest.raises(Conflict, match="cancel it"):
        refunding.refund(an_order(reserved(), captured()), "r1", None, "all")


def test_a_cancelled_order_cannot_be_refunded_twice() -> None:
    cancelled = lifecycle.cancel(an_order(reserved(), captured()), "no", NOW)

    with pytest.raises(Conflict, match="refunded already"):
        refunding.refund(cancelled, "r1", 1, "again")


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (an_order(), "nothing is paid yet"),
        (lifecycle.cancel(an_order(), "no", NOW), "nothing was paid"),
        (
            refunding.refund(an_order(reserved(), captured(), shipped()), "r1", None, "all"),
            "all that was paid is refunded already",
        ),
    ],
    ids=["not paid", "cancelled unpaid", "all asked for"],
)
def test_where_nothing_is_left_to_refund_it_says_why(order: Order, why: str) -> None:
    with pytest.raises(Conflict, match=why):
        refunding.refund(order, "r2", None, "more")


def test_an_order_is_refunded_when_all_of_it_went_back() -> None:
    order = refunding.refund(an_order(reserved(), captured(), shipped()), "r1", None, "all")

    after = learn(order, heard(PaymentRefunded(order_id="T-1", refund_id="r1", amount=TOTAL, reference="re_1")))

    assert after.status is Status.REFUNDED


def test_money_that_payments_says_went_back_counts_even_if_nobody_remembers_asking() -> None:
    """After a restore payments may know more."""
    some = PaymentRefunded(order_id="T-1", refund_id="forgotten", amount=cny(100), reference="re_1")

    assert an_order(reserved(), captured(), shipped(), heard(some)).refunded == 100


def test_a_refused_refund_promises_nothing_and_shows_the_order_to_a_person() -> None:
    order = refunding.refund(an_order(reserved(), captured(), shipped()), "r1", None, "all")

    after = learn(order, refused("r1"))

    assert (after.refund_asked, after.status) == (0, Status.HELD)


def test_another_system_cannot_say_that_our_money_went_back() -> None:
    with pytest.raises(NotTheirsToSay):
        learn(an_order(reserved(), captured()), given_back(refund_id="r1"))


def test_a_shop_that_took_the_money_says_that_it_gave_it_back() -> None:
    order = lifecycle.cancel(an_order(reserved(), collected_by=SHOP), "no", NOW)

    assert learn(order, given_back(refund_id=OF_CANCELLATION)).refunded == TOTAL.amount


def test_what_a_shop_gave_back_by_its_own_decision_is_not_asked_for_again() -> None:
    before = an_order(reserved(), collected_by=SHOP)

    after = learn(before, given_back(100))

    assert after.refunded == 100
    assert lifecycle.follows(before, after) == []


def test_what_payments_does_not_acknowledge_was_not_given_back_whichever_is_heard_first() -> None:
    before = an_order(reserved(), collected_by=SHOP)
    told, refusal = given_back(29901), refused("own-1", "more than is left")

    one, other = learn(learn(before, told), refusal), learn(learn(before, refusal), told)

    assert one == other
    assert (one.refunded, one.status) == (0, Status.HELD)
