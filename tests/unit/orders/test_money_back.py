"""Money that goes back: who may say so and when, what it ends, and what is done when it is refused."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orders import lifecycle
from services.orders.facts import Hold
from services.orders.learning import MOST_CLAIMS, NotTheirsToSay, learn
from services.orders.lifecycle import ASTRAY, Order, Status
from shared.events import Event
from shared.events.fields import PaymentReceipt
from shared.events.orders import OrderCancelled, OrderHeld, OrderPaid, OrderPlaced, OrderReleased, RefundRequested
from shared.events.payments import PaymentRefunded, PaymentReviewRequired
from shared.money import Money
from shared.problems import Conflict
from tests.builders import a_placed_order
from tests.unit.orders.telling import (
    NOW,
    TOTAL,
    an_order,
    captured,
    declined,
    delivered,
    given_back,
    heard,
    in_doubt,
    left,
    pushed,
    refused,
    reserved,
    shipped,
)

SHOP = "/shops/a"
PARTLY = 100


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


def asked_for(amount: int) -> Money:
    return Money(amount=amount, currency="CNY")


def requests(events: list[Event]) -> list[tuple[str, int]]:
    return [(event.refund_id, event.amount.amount) for event in events if isinstance(event, RefundRequested)]


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
    order, _ = placed_after(given_back(refund_id="T-1:cancel", by="/shops/other"), reserved(), captured(), collected_by=None)

    assert requests(lifecycle.follows(order, lifecycle.cancel(order, "no", order.holds[0].at))) == [("T-1:cancel", 29900)]


@pytest.mark.parametrize("names", [1, 2])
def test_a_shop_that_used_the_name_of_the_refund_that_is_owed_does_not_keep_the_rest(names: int) -> None:
    theirs = [given_back(PARTLY, f"T-1:cancel{number}") for number in ("", "-2")[:names]]
    order = an_order(reserved(), *theirs, collected_by=SHOP)

    cancelled = lifecycle.cancel(order, "no", NOW)
    again = learn(cancelled, reserved())

    expected = [(f"T-1:cancel-{names + 1}", TOTAL.amount - names * PARTLY)]
    assert requests(lifecycle.follows(order, cancelled)) == expected
    assert again == cancelled
    refused_once = learn(cancelled, refused(expected[0][0]))
    assert requests(lifecycle.follows(cancelled, refused_once)) == []


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
        order_id="T-1", refund_id="T-1:cancel", amount=Money(amount=TOTAL.amount, currency="EUR"), reference="x"
    )

    for told in (given_back(PARTLY, "T-1:cancel"), heard(euros, SHOP)):
        assert learn(cancelled, told).refunded == 0


def test_a_shop_that_had_used_the_name_for_another_sum_is_heard_when_it_gives_back_what_was_asked_for() -> None:
    cancelled = lifecycle.cancel(an_order(collected_by=SHOP), "no", NOW)

    after = learn(learn(cancelled, given_back(PARTLY, "T-1:cancel")), given_back(TOTAL.amount, "T-1:cancel"))

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

    after = lifecycle.refund(before, "again-1", None, "refund_requested")

    assert (before.status, before.waits_for) == (Status.HELD, ("refund refused: account closed",))
    assert requests(lifecycle.follows(before, after)) == [("again-1", 29900)]
    assert (after.status, after.waits_for) == (Status.HELD, before.waits_for)
    with pytest.raises(Conflict, match="refunded already"):
        lifecycle.refund(after, "again-2", None, "refund_requested")


def test_it_is_held_until_the_money_went() -> None:
    cancelled = learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), refused())
    asked = lifecycle.refund(cancelled, "again-1", None, "refund_requested")
    sent = PaymentRefunded(order_id="T-1", refund_id="again-1", amount=TOTAL, reference="re_1")

    refused_again, gone = learn(asked, refused("again-1")), learn(asked, heard(sent))

    assert (refused_again.status, gone.status) == (Status.HELD, Status.CANCELLED)
    assert requests(lifecycle.follows(refused_again, lifecycle.refund(refused_again, "again-2", None, "again"))) == [
        ("again-2", 29900)
    ]


def given_by_hand(order: Order, amount: int = TOTAL.amount, reference: str = "SEPA-1", id: str = "hand-1") -> Order:
    return lifecycle.refund(order, lifecycle.refund_by(order, reference) or id, amount, "card closed", "lin", reference)


def test_what_a_person_gave_back_by_hand_is_told_with_its_transfer_and_ends_the_hold_once_payments_has_it() -> None:
    before = learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), refused())

    after = given_by_hand(before)
    sent = PaymentRefunded(order_id="T-1", refund_id="hand-1", amount=TOTAL, reference="SEPA-1")
    gone = learn(after, heard(sent))

    (said,) = lifecycle.follows(before, after)
    assert isinstance(said, RefundRequested)
    assert (said.by_hand, said.asked_by, said.amount) == ("SEPA-1", "lin", TOTAL)
    assert said.note() == "299.00 CNY: card closed; given back by hand by lin: SEPA-1"
    assert (after.status, after.refunded) == (Status.HELD, 0)
    assert (gone.status, gone.refunded, gone.refunds["hand-1"].by_hand) == (Status.CANCELLED, TOTAL.amount, "SEPA-1")
    assert given_by_hand(gone) == gone


def test_the_same_transfer_said_twice_is_one_and_of_another_sum_a_mistake() -> None:
    asked = lifecycle.refund(an_order(reserved(), captured(), shipped()), "R-1", PARTLY, "scratched")
    sent = heard(PaymentRefunded(order_id="T-1", refund_id="R-1", amount=asked_for(PARTLY), reference="re_1"))
    by_hand = given_by_hand(learn(asked, sent), PARTLY)

    for reference, known in (("SEPA-1", "hand-1"), ("re_1", "R-1")):
        assert lifecycle.refund_by(by_hand, reference) == known
        assert given_by_hand(by_hand, PARTLY, reference, "hand-2") == by_hand
        with pytest.raises(Conflict, match="in the books already, as 100"):
            given_by_hand(by_hand, PARTLY + 1, reference, "hand-2")


def test_a_transfer_that_payments_did_not_acknowledge_may_be_said_again() -> None:
    before = learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), refused())
    refused_too = learn(given_by_hand(before), refused("hand-1", "more than is left"))

    assert requests(lifecycle.follows(refused_too, given_by_hand(refused_too, id="hand-2"))) == [("hand-2", TOTAL.amount)]


def test_while_a_refund_is_under_way_none_is_given_back_by_hand() -> None:
    asked = lifecycle.refund(an_order(reserved(), captured(), shipped()), "R-1", PARTLY, "scratched")
    cancelled = lifecycle.cancel(an_order(reserved(), captured()), "no", NOW)

    for order in (asked, cancelled, given_by_hand(learn(asked, refused("R-1")), PARTLY, "SEPA-0", "hand-0")):
        with pytest.raises(Conflict, match="under way"):
            given_by_hand(order, PARTLY)


def test_never_more_than_is_left_is_given_back_by_hand_nor_what_a_shop_took() -> None:
    part = learn(lifecycle.refund(an_order(reserved(), captured(), shipped()), "R-1", None, "scratched"), refused("R-1"))

    with pytest.raises(Conflict, match="29900 minor units"):
        given_by_hand(part, TOTAL.amount + 1)
    with pytest.raises(Conflict, match="/shops/a took the money"):
        given_by_hand(an_order(reserved(), shipped(), collected_by=SHOP), PARTLY)
    with pytest.raises(Conflict, match="nothing is paid yet"):
        given_by_hand(an_order(reserved()), PARTLY)


SENT = heard(PaymentRefunded(order_id="T-1", refund_id="T-1:cancel", amount=TOTAL, reference="re_1"))
CAME_BACK = refused(reason="it was sent as re_1 and came back: expired_or_canceled_card")


@pytest.mark.parametrize("said", [(SENT, CAME_BACK), (CAME_BACK, SENT)])
def test_money_that_went_and_came_back_has_not_gone_back_whichever_is_heard_first(said: tuple[Event, ...]) -> None:
    before = order = lifecycle.cancel(an_order(reserved(), captured()), "no", NOW)
    for fact in said:
        order = learn(order, fact)

    assert (order.refunded, order.status) == (0, Status.HELD)
    assert order.waits_for == ("refund refused: it was sent as re_1 and came back: expired_or_canceled_card",)
    assert requests(lifecycle.follows(before, order)) == []
    asked = lifecycle.refund(order, "again-1", None, "refund_requested")
    assert requests(lifecycle.follows(order, asked)) == [("again-1", 29900)]


def test_a_parcel_that_has_arrived_does_not_hide_that_money_has_not_gone_back() -> None:
    before = an_order(reserved(), captured(), shipped(), delivered())
    asked = lifecycle.refund(before, "R-1", PARTLY, "scratched")

    back = learn(asked, refused("R-1", "it was sent as re_1 and came back: lost_or_stolen_card"))
    completed = lifecycle.complete(back, NOW)
    seen_to = lifecycle.release(completed, "a", NOW)

    assert (asked.status, back.status, completed.status) == (Status.DELIVERED, Status.HELD, Status.HELD)
    assert (seen_to.status, lifecycle.completes_at(back, timedelta(days=7))) == (Status.COMPLETED, NOW + timedelta(days=7))


def test_nobody_need_see_to_money_that_has_gone_back_after_all() -> None:
    order = lifecycle.refund(an_order(reserved(), captured(), shipped(), delivered()), "R-1", None, "scratched")
    again = lifecycle.refund(learn(order, refused("R-1")), "R-2", None, "scratched")

    sent = heard(PaymentRefunded(order_id="T-1", refund_id="R-2", amount=TOTAL, reference="re_2"))
    assert (again.status, learn(again, sent).status) == (Status.HELD, Status.REFUNDED)


def test_a_hold_from_before_says_nothing_of_refunds() -> None:
    assert not Hold.model_validate({"reason": "refund refused: no", "at": NOW}).of_refund


def test_a_release_does_not_stand_for_money_that_has_not_gone_back() -> None:
    with pytest.raises(Conflict, match="ask for it again"):
        lifecycle.release(learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), refused()), "a", NOW)


def test_what_a_shop_says_it_gave_back_is_not_asked_for_again_even_if_payments_will_not_acknowledge_it() -> None:
    cancelled = lifecycle.cancel(an_order(reserved(), collected_by=SHOP), "no", NOW)

    disputed = learn(learn(cancelled, refused()), given_back(refund_id="T-1:cancel"))

    with pytest.raises(Conflict, match="refunded already"):
        lifecycle.refund(disputed, "again-1", None, "refund_requested")


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
