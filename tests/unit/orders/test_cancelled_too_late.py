"""What must be seen to after an order was cancelled: a parcel that had left, money that came."""

import pytest

from services.orders import lifecycle
from services.orders.facts import Hold
from services.orders.learning import learn
from services.orders.order import ASTRAY, Status
from shared.events import Event
from shared.events.orders import OrderHeld, OrderReleased
from shared.events.payments import PaymentReviewRequired
from shared.problems import Conflict
from tests.unit.orders.telling import (
    NOW,
    an_order,
    captured,
    declined,
    delivered,
    heard,
    in_doubt,
    left,
    pushed,
    reserved,
)


@pytest.mark.parametrize("parcel", [left(), delivered()])
def test_a_parcel_that_had_left_before_its_order_was_cancelled_is_shown_to_a_person(parcel: Event) -> None:
    before = lifecycle.cancel(an_order(reserved(), captured()), "no", NOW)

    after = learn(before, parcel)
    seen = lifecycle.release(after, "a", NOW)

    assert (after.status, after.waits_for) == (Status.HELD, (ASTRAY,))
    assert lifecycle.follows(before, after) == [OrderHeld(order_id="T-1", reasons=(ASTRAY,))]
    assert lifecycle.follows(after, learn(after, delivered())) == []
    assert seen.status is Status.CANCELLED
    assert [type(event) for event in lifecycle.follows(after, seen)] == [OrderReleased]


def test_money_that_came_after_the_charge_had_failed_is_shown_to_a_person_who_sees_to_it() -> None:
    failed = an_order(reserved(), declined())

    after = learn(failed, in_doubt())
    seen_to = lifecycle.release(after, "a", NOW)

    assert (failed.status, after.status, seen_to.status) == (Status.CANCELLED, Status.HELD, Status.CANCELLED)
    assert after.waits_for == ("the provider took 299.00 CNY (pi_1) after it was failed",)
    assert [type(event) for event in lifecycle.follows(failed, after)] == [OrderHeld]
    assert [type(event) for event in lifecycle.follows(after, seen_to)] == [OrderReleased]
    assert an_order(in_doubt(), reserved(), declined()).status is Status.HELD


def test_calling_an_order_off_does_not_answer_what_is_in_doubt_about_its_money() -> None:
    review = heard(PaymentReviewRequired(order_id="T-1", payment_id="p", reasons=("amount",)))
    called_off = lifecycle.cancel(an_order(reserved(), review, in_doubt()), "no", NOW)

    assert (called_off.status, len(called_off.waits_for)) == (Status.HELD, 1)
    assert lifecycle.release(called_off, "a", NOW).status is Status.CANCELLED


def test_a_hold_from_before_says_nothing_of_doubt() -> None:
    assert not Hold.model_validate({"reason": "amount", "at": NOW}).in_doubt


def test_seeing_to_the_money_does_not_forget_that_the_parcel_was_seen_to() -> None:
    astray = learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), left())
    seen = lifecycle.release(astray, "a", NOW)

    assert lifecycle.release(learn(seen, in_doubt()), "a", NOW).status is Status.CANCELLED


def test_cancelling_what_is_held_because_it_was_cancelled_too_late_changes_nothing() -> None:
    astray = learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), left())

    assert lifecycle.cancel(astray, "again", NOW) == astray


@pytest.mark.parametrize("parcel", [pushed(), left(), delivered()], ids=lambda fact: fact.type)
def test_an_order_whose_parcel_was_heard_of_is_too_late_to_cancel(parcel: Event) -> None:
    with pytest.raises(Conflict, match="too late"):
        lifecycle.cancel(an_order(reserved(), captured(), parcel), "late", NOW)
