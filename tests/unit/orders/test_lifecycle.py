"""An order is what its facts say."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orders import lifecycle, refunding
from services.orders.learning import learn
from services.orders.order import Order, Status
from shared.events import Event
from shared.events.fields import PaymentReceipt
from shared.events.orders import OrderCancelled, OrderCompleted, OrderHeld, OrderPaid, OrderPlaced, OrderReleased, RefundRequested
from shared.events.payments import (
    PaymentActionRequired,
    PaymentCaptured,
    PaymentFailed,
    PaymentReviewRequired,
    PaymentVoided,
)
from shared.events.shipments import ShipmentDelivered, ShipmentFailed
from shared.events.stock import StockRejected
from shared.money import Money
from shared.problems import Conflict
from tests.builders import a_placed_order
from tests.unit.orders.telling import NOW, TOTAL, an_order, captured, delivered, heard, pushed, reserved, shipped


def test_an_order_is_paid_when_stock_is_set_aside_and_the_whole_total_is_there() -> None:
    before = an_order(reserved())

    after = learn(before, captured())

    assert after.status is Status.PAID
    assert [type(event) for event in lifecycle.follows(before, after)] == [OrderPaid]


def test_less_than_the_total_does_not_pay_an_order() -> None:
    short = PaymentCaptured(
        order_id="T-1", payment_id="p", channel="card", amount=Money(amount=29899, currency="CNY"), reference="r"
    )

    after = an_order(reserved(), heard(short))

    assert after.status is Status.PLACED


def test_an_order_that_costs_nothing_is_paid_once_payments_has_said_so() -> None:
    free = an_order(reserved(), unit_price=0)
    nothing = Money(amount=0, currency="CNY")

    after = learn(free, heard(PaymentCaptured(order_id="T-1", payment_id="p", channel="invoice", amount=nothing, reference="r")))

    assert (free.status, lifecycle.follows(an_order(unit_price=0), free)) == (Status.PLACED, [])
    assert [type(event) for event in lifecycle.follows(free, after)] == [OrderPaid]


def test_a_shops_money_alone_does_not_pay_an_order_whose_stock_is_not_set_aside() -> None:
    waiting = an_order(collected_by="/shops/a", receipt=PaymentReceipt(channel="alipay", reference="A-1"))

    assert waiting.status is Status.PLACED
    assert learn(waiting, reserved()).status is Status.PAID


def test_what_payments_has_charged_is_there_whether_or_not_inventory_was_heard() -> None:
    """Nobody is charged for what is not set aside."""
    charged = an_order(captured())

    assert charged.status is Status.PAID
    assert lifecycle.follows(charged, learn(charged, reserved())) == []


def test_an_order_says_where_its_shopper_pays() -> None:
    before = an_order(reserved())

    after = learn(before, heard(PaymentActionRequired(order_id="T-1", payment_id="p", url="https://pay.example/cs_1")))

    assert (after.payment_url, after.status) == ("https://pay.example/cs_1", Status.PLACED)


def test_a_payment_that_arrives_after_cancellation_is_refunded_in_full() -> None:
    cancelled = lifecycle.cancel(an_order(reserved()), "changed my mind", NOW)

    after = learn(cancelled, captured())

    [asked] = lifecycle.follows(cancelled, after)
    assert isinstance(asked, RefundRequested)
    assert asked.amount == TOTAL
    assert after.status is Status.CANCELLED


def test_cancelling_a_paid_order_cancels_it_and_gives_the_money_back() -> None:
    paid = an_order(reserved(), captured())

    after = lifecycle.cancel(paid, "changed my mind", NOW)

    assert [type(event) for event in lifecycle.follows(paid, after)] == [OrderCancelled, RefundRequested]


def test_an_order_whose_parcel_has_left_cannot_be_cancelled() -> None:
    with pytest.raises(Conflict, match="too late"):
        lifecycle.cancel(an_order(reserved(), captured(), shipped()), "late", NOW)


def test_a_parcel_that_could_not_be_handed_over_is_too_late_to_cancel() -> None:
    undelivered = heard(ShipmentFailed(order_id="T-1", shipment_id="s", reason="nobody at home"))

    with pytest.raises(Conflict, match="too late"):
        lifecycle.cancel(an_order(reserved(), captured(), shipped(), undelivered), "late", NOW)


def test_an_order_whose_charge_was_called_off_is_cancelled() -> None:
    before = an_order(reserved())

    after = learn(before, heard(PaymentVoided(order_id="T-1", payment_id="p", reason="reservation_expired")))

    assert lifecycle.follows(before, after) == [OrderCancelled(order_id="T-1", reason="reservation_expired")]


def test_cancelling_twice_is_cancelling_once() -> None:
    cancelled = lifecycle.cancel(an_order(), "once", NOW)

    assert lifecycle.cancel(cancelled, "twice", NOW + timedelta(hours=1)) == cancelled


def test_an_order_without_stock_is_cancelled_before_any_money_moves() -> None:
    before = an_order()

    after = learn(before, heard(StockRejected(order_id="T-1", reason="out_of_stock", missing=())))

    assert lifecycle.follows(before, after) == [OrderCancelled(order_id="T-1", reason="out_of_stock")]


def test_an_order_that_is_paid_but_out_of_stock_waits_for_a_person() -> None:
    before = an_order(reserved(), captured())

    after = learn(before, heard(StockRejected(order_id="T-1", reason="out_of_stock", missing=(), paid=True)))

    assert after.status is Status.HELD
    assert [type(event) for event in lifecycle.follows(before, after)] == [OrderHeld]


def test_a_declined_card_cancels_the_order_with_the_channels_reason() -> None:
    before = an_order(reserved())

    after = learn(before, heard(PaymentFailed(order_id="T-1", payment_id="p", reason="generic_decline")))

    assert lifecycle.follows(before, after) == [OrderCancelled(order_id="T-1", reason="generic_decline")]


def test_a_review_holds_the_order_and_a_release_sends_it_on() -> None:
    held = an_order(reserved(), heard(PaymentReviewRequired(order_id="T-1", payment_id="p", reasons=("amount",))))

    after = lifecycle.release(held, "local", NOW + timedelta(minutes=1))

    assert (held.status, after.status) == (Status.HELD, Status.PLACED)
    assert (held.waits_for, after.waits_for) == (("amount",), ())
    assert lifecycle.follows(held, after) == [OrderReleased(order_id="T-1", released_by="local", answers=(NOW,))]


def test_what_holds_an_order_is_shown_once_whatever_is_heard_of_it_later() -> None:
    review = heard(PaymentReviewRequired(order_id="T-1", payment_id="p", reasons=("amount",)))
    held = an_order(reserved(), review)

    for later in (review, captured()):
        after = learn(held, later)

        assert OrderHeld not in [type(event) for event in lifecycle.follows(held, after)]
        assert after.waits_for == ("amount",)


def test_what_went_wrong_with_an_order_before_it_was_placed_is_shown_once_it_is() -> None:
    unknown = Order(id="T-1")
    spoken_of = learn(unknown, heard(PaymentReviewRequired(order_id="T-1", payment_id="p", reasons=("amount",))))
    declined = learn(spoken_of, heard(PaymentFailed(order_id="T-1", payment_id="p", reason="generic_decline")))
    placed = lifecycle.place(a_placed_order(), NOW)

    assert lifecycle.follows(unknown, spoken_of) == lifecycle.follows(spoken_of, declined) == []
    assert [type(e) for e in lifecycle.follows(spoken_of, lifecycle.fill_in(spoken_of, placed))] == [OrderPlaced, OrderHeld]
    ended = lifecycle.follows(declined, lifecycle.fill_in(declined, placed))
    assert OrderCancelled(order_id="T-1", reason="generic_decline") in ended
    assert OrderPlaced not in [type(event) for event in ended]


def test_an_order_held_again_after_its_release_is_held() -> None:
    released = lifecycle.release(
        an_order(reserved(), heard(PaymentReviewRequired(order_id="T-1", payment_id="p", reasons=("amount",)))), "a", NOW
    )

    later = heard(ShipmentFailed(order_id="T-1", shipment_id="s", reason="no carrier"), at=NOW + timedelta(hours=1))

    assert learn(released, later).status is Status.HELD


def test_a_release_answers_what_was_known_even_if_the_clock_of_who_said_it_is_ahead() -> None:
    review = PaymentReviewRequired(order_id="T-1", payment_id="p", reasons=("amount",))
    held = an_order(reserved(), heard(review, at=NOW + timedelta(hours=1)))

    assert lifecycle.release(held, "a", NOW).status is Status.PLACED


def test_only_a_held_order_can_be_released() -> None:
    with pytest.raises(Conflict, match="not held"):
        lifecycle.release(an_order(), "a", NOW)


def test_an_intercepted_order_is_announced_only_after_its_release() -> None:
    intercepted = lifecycle.place(a_placed_order(), NOW, suspicions=["odd"])

    released = lifecycle.release(intercepted, "a", NOW)

    assert [type(e) for e in lifecycle.follows(Order(id="T-1"), intercepted)] == [OrderHeld]
    assert [type(e) for e in lifecycle.follows(intercepted, released)] == [OrderPlaced, OrderReleased]


def test_an_intercepted_order_is_not_shipped_even_if_its_stock_and_its_money_are_there() -> None:
    before = lifecycle.place(a_placed_order(), NOW, suspicions=["odd"])

    after = learn(learn(before, reserved()), captured())

    assert (after.status, after.is_paid, lifecycle.follows(before, after)) == (Status.HELD, False, [])
    assert lifecycle.release(after, "a", NOW).status is Status.PAID


def test_the_return_window_begins_with_the_last_delivery_in_whichever_sequence_they_are_heard() -> None:
    later = heard(ShipmentDelivered(order_id="T-1", shipment_id="s", at=NOW + timedelta(days=1)))

    for deliveries in ((delivered(), later), (later, delivered())):
        order = an_order(reserved(), captured(), shipped(), *deliveries)
        assert lifecycle.completes_at(order, timedelta(days=7)) == NOW + timedelta(days=8)


def test_a_delivered_order_is_completed_once_the_return_window_is_over() -> None:
    order = an_order(reserved(), captured(), shipped(), delivered())

    after = lifecycle.complete(order, NOW)

    assert (order.status, after.status) == (Status.DELIVERED, Status.COMPLETED)
    assert lifecycle.completes_at(order, timedelta(days=7)) == NOW + timedelta(days=7)
    assert lifecycle.follows(order, after) == [OrderCompleted(order_id="T-1")]


@pytest.mark.parametrize("said", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-08:00"])
def test_a_delivery_at_the_end_of_the_calendar_is_completed_at_the_last_moment_that_there_is(said: str) -> None:
    at = datetime.fromisoformat(said)
    order = an_order(reserved(), captured(), shipped(), heard(ShipmentDelivered(order_id="T-1", shipment_id="s", at=at)))

    for return_window in (timedelta(0), timedelta(days=7)):
        completed_at = lifecycle.completes_at(order, return_window)
        assert completed_at == datetime(9999, 12, 31, tzinfo=UTC)
        assert completed_at.utcoffset() == timedelta(0)


def test_an_order_is_completed_once_even_if_money_goes_back_after() -> None:
    completed = lifecycle.complete(an_order(reserved(), captured(), shipped(), delivered()), NOW)

    refunded = refunding.refund(completed, "r1", 100, "goodwill")

    assert lifecycle.completes_at(completed, timedelta(days=7)) is None
    assert lifecycle.complete(completed, NOW + timedelta(days=1)) == completed
    assert [type(event) for event in lifecycle.follows(completed, refunded)] == [RefundRequested]


def test_what_is_not_delivered_is_not_completed_nor_what_was_delivered_though_it_was_cancelled() -> None:
    under_way = an_order(reserved(), captured(), shipped())
    astray = learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), delivered())

    assert lifecycle.complete(under_way, NOW) == under_way
    assert lifecycle.completes_at(under_way, timedelta(days=7)) is None
    assert lifecycle.completes_at(astray, timedelta(days=7)) is None


HAPPY = (reserved(), captured(), shipped(), pushed(), delivered())


@given(st.permutations(HAPPY), st.lists(st.sampled_from(HAPPY), max_size=5))
def test_whatever_the_sequence_the_order_ends_the_same_and_is_paid_once(facts: list[Event], repeats: list[Event]) -> None:
    expected = an_order(*HAPPY)
    order = an_order()
    announced: list[Event] = []

    for fact in [*facts, *repeats]:
        after = learn(order, fact)
        announced += lifecycle.follows(order, after)
        order = after

    assert order == expected
    assert [type(event) for event in announced] == [OrderPaid]


@given(st.permutations(HAPPY), st.integers(0, 5))
def test_an_order_placed_after_others_spoke_of_it_ends_the_same(facts: list[Event], placed_after: int) -> None:
    order = Order(id="T-1")
    announced: list[Event] = []

    for index, fact in enumerate([*facts, None]):
        if index == placed_after:
            whole = lifecycle.fill_in(order, lifecycle.place(a_placed_order(), NOW))
            announced += lifecycle.follows(order, whole)
            order = whole
        if fact is not None:
            after = learn(order, fact)
            announced += lifecycle.follows(order, after)
            order = after

    assert order == an_order(*HAPPY)
    assert sorted(event.type for event in announced) == ["order.paid", "order.placed"]


@given(st.permutations((*HAPPY[:2], None)))
def test_however_a_cancellation_races_the_payment_the_money_goes_back_once(steps: list[Event | None]) -> None:
    order = an_order()
    announced: list[Event] = []

    for fact in steps:
        after = lifecycle.cancel(order, "raced", NOW) if fact is None else learn(order, fact)
        announced += lifecycle.follows(order, after)
        order = after

    assert order.status is Status.CANCELLED
    assert [e.amount for e in announced if isinstance(e, RefundRequested)] == [TOTAL]
    assert len([e for e in announced if isinstance(e, OrderCancelled)]) == 1
