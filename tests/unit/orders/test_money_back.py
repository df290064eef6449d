"""Money that goes back: who may say so and when, what it ends, and what is done when it is refused."""

from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orders import lifecycle, refunding
from services.orders.facts import ORDER_CANCELLED, Refund
from services.orders.learning import MOST_CLAIMS, NotTheirsToSay, learn
from services.orders.order import Order, Status
from shared.events import Event
from shared.events.fields import PaymentReceipt
from shared.events.orders import OrderCancelled, OrderHeld, OrderPaid, OrderPlaced
from shared.events.payments import PaymentRefunded
from shared.money import Money
from shared.problems import Conflict
from tests.builders import a_placed_order
from tests.unit.orders.telling import (
    NOW,
    OF_CANCELLATION,
    PARTLY,
    SHOP,
    TOTAL,
    an_order,
    captured,
    delivered,
    given_back,
    heard,
    left,
    refused,
    requests,
    reserved,
    shipped,
)


def placed_after(
    *facts: Event, collected_by: str | None = SHOP, receipt: PaymentReceipt | None = None, suspicions: Sequence[str] = ()
) -> tuple[Order, list[Event]]:
    """The order, placed only after all that was said of it, and what followed."""
    order = Order(id="T-1")
    for fact in facts:
        order = learn(order, fact)
    placed = a_placed_order(collected_by=collected_by, receipt=receipt)
    whole = lifecycle.fill_in(order, lifecycle.place(placed, NOW, suspicions))
    return whole, lifecycle.follows(order, whole)


def test_what_a_shop_gave_back_before_its_order_was_known_counts_once_it_is() -> None:
    order, said = placed_after(given_back(PARTLY), reserved())

    assert (order.refunded, order.status) == (PARTLY, Status.PLACED)
    assert [type(event) for event in said] == [OrderPlaced]
    assert order == an_order(given_back(PARTLY), reserved(), collected_by=SHOP)


def test_an_order_of_which_its_shop_spoke_first_is_paid_like_any_other() -> None:
    order, said = placed_after(given_back(PARTLY), reserved(), receipt=PaymentReceipt(channel="alipay", reference="A-1"))

    assert order.status is Status.PAID
    assert [type(event) for event in said] == [OrderPlaced, OrderPaid]


def test_an_odd_order_waits_for_a_person_even_if_its_shop_spoke_of_it_first() -> None:
    order, said = placed_after(given_back(PARTLY), suspicions=["odd"])

    assert (order.status, order.waits_for) == (Status.HELD, ("odd",))
    assert [type(event) for event in said] == [OrderHeld]


def test_nothing_is_given_back_of_an_order_that_is_not_known_yet() -> None:
    assert learn(Order(id="T-1"), given_back(PARTLY)).refunded == 0


@pytest.mark.parametrize("collected_by", [SHOP, None])
def test_the_word_of_who_had_not_taken_the_money_does_not_count_and_is_shown(collected_by: str | None) -> None:
    order, said = placed_after(given_back(by="/shops/other"), collected_by=collected_by)
    later = learn(order, reserved())

    assert (order.refunded, order.refunds, order.status) == (0, {}, Status.HELD)
    assert (later.holds, lifecycle.follows(order, later)) == (order.holds, [])
    [held] = [event for event in said if isinstance(event, OrderHeld)]
    assert held.reasons == ("/shops/other says that it gave back 299.00 CNY, and it had not taken the money",)


def test_a_stranger_cannot_take_the_place_of_the_refund_that_a_cancelled_order_owes() -> None:
    order, _ = placed_after(given_back(refund_id=OF_CANCELLATION, by="/shops/other"), reserved(), captured(), collected_by=None)

    assert requests(lifecycle.follows(order, lifecycle.cancel(order, "no", order.holds[0].at))) == [(OF_CANCELLATION, 29900)]


@pytest.mark.parametrize("names", [1, 2])
def test_a_shop_that_used_the_name_of_the_refund_that_is_owed_does_not_keep_the_rest(names: int) -> None:
    theirs = [given_back(PARTLY, f"{OF_CANCELLATION}{number}") for number in ("", "-2")[:names]]
    order = an_order(reserved(), *theirs, collected_by=SHOP)

    cancelled = lifecycle.cancel(order, "no", NOW)
    again = learn(cancelled, reserved())

    expected = [(f"{OF_CANCELLATION}-{names + 1}", TOTAL.amount - names * PARTLY)]
    assert requests(lifecycle.follows(order, cancelled)) == expected
    assert again == cancelled
    refused_once = learn(cancelled, refused(expected[0][0]))
    assert requests(lifecycle.follows(cancelled, refused_once)) == []


@pytest.mark.parametrize("asked_by", [None, "lin"])
def test_what_a_cancellation_has_asked_for_is_known_by_whatever_name_and_is_no_persons(asked_by: str | None) -> None:
    asked_before = {"T-1:cancel": Refund(amount=PARTLY, reason=ORDER_CANCELLED, asked_by=asked_by)}
    order = an_order(reserved(), captured()).but(refunds=asked_before)

    cancelled = lifecycle.cancel(order, "no", NOW)

    assert set(cancelled.refunds) == {"T-1:cancel"} | ({OF_CANCELLATION} if asked_by else set())


def test_once_the_order_is_known_a_stranger_is_refused_at_the_door() -> None:
    with pytest.raises(NotTheirsToSay):
        learn(an_order(collected_by=SHOP), given_back(by="/shops/other"))


@pytest.mark.parametrize("known", [Order(id="T-1"), an_order(collected_by=SHOP)])
def test_a_shop_tells_of_so_many_refunds_of_one_order_and_of_no_more(known: Order) -> None:
    """Ten thousand, told of an order that another shop placed then, kept orders from doing anything else for minutes."""
    for number in range(MOST_CLAIMS):
        known = learn(known, given_back(1, f"own-{number}"))

    with pytest.raises(NotTheirsToSay, match="more than 200 refunds"):
        learn(known, given_back(1, "one-more"))
    assert learn(known, given_back(1, "own-0")) == known


def test_a_shop_that_tells_of_too_many_refunds_keeps_no_other_from_telling_of_its_own() -> None:
    order = Order(id="T-1")
    for number in range(MOST_CLAIMS):
        order = learn(order, given_back(1, f"own-{number}", by="/shops/other"))

    assert len(learn(order, given_back(1)).claims) == MOST_CLAIMS + 1


def test_more_than_the_shop_had_taken_does_not_count_and_does_not_keep_the_order_out() -> None:
    order, said = placed_after(given_back(29900, "own-1"), given_back(1, "own-2"))
    after = learn(order, refused("own-2", "more than is left"))

    assert OrderPlaced in [type(event) for event in said]
    assert order.refunded == 29900
    assert requests(lifecycle.follows(order, after)) == []
    assert (after.refunded, after.refunds["own-2"].failure) == (29900, "more than is left")


def test_a_refund_that_payments_refuses_makes_room_for_the_one_it_took() -> None:
    facts = given_back(20000, "own-1"), given_back(20000, "own-2"), refused("own-1", "more")
    order = an_order(*facts, collected_by=SHOP)

    assert order.refunded == 20000
    assert all(an_order(*told, collected_by=SHOP) == order for told in permutations(facts))


def test_another_sum_or_currency_than_was_asked_for_does_not_count() -> None:
    cancelled = lifecycle.cancel(an_order(collected_by=SHOP), "no", NOW)
    euros = PaymentRefunded(
        order_id="T-1", refund_id=OF_CANCELLATION, amount=Money(amount=TOTAL.amount, currency="EUR"), reference="x"
    )

    for told in (given_back(PARTLY, OF_CANCELLATION), heard(euros, SHOP)):
        assert learn(cancelled, told).refunded == 0


def test_a_shop_that_had_used_the_name_for_another_sum_is_heard_when_it_gives_back_what_was_asked_for() -> None:
    cancelled = lifecycle.cancel(an_order(collected_by=SHOP), "no", NOW)

    after = learn(learn(cancelled, given_back(PARTLY, OF_CANCELLATION)), given_back(TOTAL.amount, OF_CANCELLATION))

    assert (after.refunded, after.status) == (TOTAL.amount, Status.CANCELLED)


@given(st.permutations([given_back(PARTLY), given_back(200, "own-2"), reserved(), shipped(), None]))
def test_whenever_a_shop_says_what_it_gave_back_the_order_ends_the_same(facts: list[Event | None]) -> None:
    order = Order(id="T-1")
    for fact in facts:
        placed = lifecycle.place(a_placed_order(collected_by=SHOP), NOW)
        order = lifecycle.fill_in(order, placed) if fact is None else learn(order, fact)

    assert order == an_order(reserved(), given_back(PARTLY), given_back(200, "own-2"), shipped(), collected_by=SHOP)


def test_an_order_whose_money_all_went_back_before_it_had_a_parcel_is_called_off_and_owes_nothing() -> None:
    before = an_order(reserved(), collected_by=SHOP)

    after = learn(before, given_back())

    assert after.status is Status.CANCELLED
    assert lifecycle.follows(before, after) == [OrderCancelled(order_id="T-1", reason="refunded")]


def test_a_shop_need_not_say_how_it_gave_the_money_back() -> None:
    order = learn(an_order(reserved(), collected_by=SHOP), given_back(reference=""))

    assert (order.refunded, order.status) == (TOTAL.amount, Status.CANCELLED)
    assert learn(order, given_back(reference="")) == order


def test_an_order_of_one_fen_is_an_order_like_any_other() -> None:
    before = an_order(reserved(), unit_price=1, collected_by=SHOP)

    assert learn(before, given_back(1)).status is Status.CANCELLED
    assert learn(learn(before, shipped()), given_back(1)).status is Status.REFUNDED


def test_that_a_refund_is_refused_which_nobody_here_asked_for_is_shown_and_asks_for_none() -> None:
    before = an_order(reserved(), collected_by=SHOP)

    assert [type(event) for event in lifecycle.follows(before, learn(before, refused("own-1")))] == [OrderHeld]


def test_an_order_that_waited_for_a_person_is_called_off_too_when_its_money_went_back() -> None:
    held = lifecycle.place(a_placed_order(collected_by=SHOP), NOW, suspicions=["odd"])

    assert learn(held, given_back()).status is Status.CANCELLED


def test_an_order_whose_money_went_back_before_it_was_known_is_entered_in_the_books_and_called_off() -> None:
    order, said = placed_after(given_back())

    assert order.status is Status.CANCELLED
    assert [type(event) for event in said] == [OrderPlaced, OrderCancelled]


def test_money_that_went_back_after_the_parcel_was_made_does_not_call_the_order_off() -> None:
    for parcel in (shipped(), left(), delivered()):
        assert learn(an_order(reserved(), parcel, collected_by=SHOP), given_back()).status is Status.REFUNDED


def test_a_cancelled_order_whose_refund_was_refused_is_held_and_its_money_asked_for_again_once() -> None:
    before = learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), refused())

    after = refunding.refund(before, "again-1", None, "refund_requested")

    assert (before.status, before.waits_for) == (Status.HELD, ("refund refused: account closed",))
    assert requests(lifecycle.follows(before, after)) == [("again-1", 29900)]
    assert (after.status, after.waits_for) == (Status.HELD, before.waits_for)
    with pytest.raises(Conflict, match="refunded already"):
        refunding.refund(after, "again-2", None, "refund_requested")


def test_it_is_held_until_the_money_went() -> None:
    cancelled = learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), refused())
    asked = refunding.refund(cancelled, "again-1", None, "refund_requested")
    sent = PaymentRefunded(order_id="T-1", refund_id="again-1", amount=TOTAL, reference="re_1")

    refused_again, gone = learn(asked, refused("again-1")), learn(asked, heard(sent))

    assert (refused_again.status, gone.status) == (Status.HELD, Status.CANCELLED)
    assert requests(lifecycle.follows(refused_again, refunding.refund(refused_again, "again-2", None, "again"))) == [
        ("again-2", 29900)
    ]
