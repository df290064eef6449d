"""Money that goes back."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments import ledger, refunds
from services.payments.charging import KEYS_LAST, RETRY_AFTER, Payment
from services.payments.facts import Refused as ChargeRefused
from services.payments.refunds import Contradiction, Refund, Refused, Returned, Sent, State, Told, Unknown
from shared.events.payments import PaymentRefunded, RefundFailed
from shared.money import Money
from tests.unit.payments.builders import NOW, PRICE, SHOP, a_captured_payment, a_payment, a_refund, an_attempted_payment, terms


def settled(payment: Payment, *known: Refund) -> list[Refund]:
    return refunds.settle(payment, known, NOW)


def test_a_refund_asked_for_before_the_capture_is_known_waits_for_it() -> None:
    [due] = settled(a_captured_payment(), a_refund())

    assert settled(a_payment(terms()), a_refund())[0].state is State.WAITING
    assert (due.state, due.due_at) == (State.DUE, NOW)
    assert refunds.follows(None, due) == []


def test_a_refund_of_a_charge_that_failed_fails_and_says_why() -> None:
    refund = settled(an_attempted_payment(ChargeRefused("generic_decline")), a_refund())[0]

    assert refunds.follows(a_refund(), refund) == [
        RefundFailed(order_id="T-1", refund_id="R-1", reason="nothing was captured: the charge was failed")
    ]


def test_a_sent_refund_is_announced_and_entered_with_the_providers_reference() -> None:
    payment, due = a_captured_payment(), settled(a_captured_payment(), a_refund())[0]

    sent = refunds.answered(due, Sent("re_1"), NOW)

    assert refunds.follows(due, sent) == [PaymentRefunded(order_id="T-1", refund_id="R-1", amount=PRICE, reference="re_1")]
    assert [(entry.kind, entry.amount) for entry in ledger.of_refund(payment, due, sent)] == [("refunded", PRICE)]
    assert ledger.of_refund(payment, None, due) == []
    # a channel without a partner sends it as soon as it is asked for
    assert refunds.follows(None, sent) == refunds.follows(due, sent)
    assert ledger.of_refund(payment, None, sent) == ledger.of_refund(payment, due, sent)


def test_a_refund_that_was_sent_or_failed_is_said_and_entered_once_and_not_asked_for_again() -> None:
    due = settled(a_captured_payment(), a_refund())[0]

    for answer in (Sent("re_1"), Refused("charge_already_refunded")):
        ended = refunds.answered(due, answer, NOW)
        assert ended.due_at is None
        assert refunds.follows(ended, replace(ended, asked_by="lin")) == []
        assert ledger.of_refund(a_captured_payment(), ended, ended) == []


def test_a_refund_that_the_provider_refuses_fails_with_its_reason() -> None:
    due = settled(a_captured_payment(), a_refund())[0]

    failed = refunds.answered(due, Refused("charge_already_refunded"), NOW)

    assert [event.note() for event in refunds.follows(due, failed)] == ["charge_already_refunded"]


def test_a_refund_that_came_back_after_it_was_sent_has_failed_and_makes_room_for_another() -> None:
    due = settled(a_captured_payment(), a_refund())[0]
    sent = refunds.answered(due, Sent("re_1"), NOW)

    back = refunds.answered(sent, Returned("re_1", "expired_or_canceled_card"), NOW)

    failed = "it was sent as re_1 and came back: expired_or_canceled_card"
    assert (back.state, back.reference, back.due_at, back.failure) == (State.FAILED, None, None, failed)
    assert refunds.follows(sent, back) == [RefundFailed(order_id="T-1", refund_id="R-1", reason=failed)]
    assert refunds.has_come_back(sent, back)
    assert ledger.of_refund(a_captured_payment(), sent, back) == []
    another = settled(a_captured_payment(), back, a_refund(id="R-2"))
    assert {refund.id: refund.state for refund in another} == {"R-1": State.FAILED, "R-2": State.DUE}


def test_a_refund_may_be_heard_of_as_returned_before_it_is_known_as_sent() -> None:
    due = settled(a_captured_payment(), a_refund())[0]

    back = refunds.answered(due, Returned("re_1", "canceled"), NOW)

    assert (back.state, refunds.has_come_back(due, back)) == (State.FAILED, False)
    assert refunds.answered(back, Sent("re_1"), NOW) == back


def test_a_refund_comes_back_once_and_only_what_was_sent_does() -> None:
    sent = refunds.answered(settled(a_captured_payment(), a_refund())[0], Sent("re_1"), NOW)
    back = refunds.answered(sent, Returned("re_1", "failed"), NOW)
    told = settled(a_captured_payment(collected_by=SHOP), a_refund(reason=None, told=Told(SHOP, "2026112499")))[0]

    for known, reference in ((back, "re_1"), (sent, "re_2"), (told, "re_1"), (a_refund(), "re_1")):
        assert refunds.answered(known, Returned(reference, "failed"), NOW) == known


def test_a_provider_that_refuses_in_many_words_is_quoted_as_far_as_an_event_holds() -> None:
    due = settled(a_captured_payment(), a_refund())[0]

    [said] = refunds.follows(due, refunds.answered(due, Refused("no " * 300), NOW))

    assert isinstance(said, RefundFailed)
    assert len(said.reason) == 500


def test_a_refund_without_an_answer_is_asked_for_again() -> None:
    for attempts, wait in zip((1, 2, 3, 4, 5, 6), (*RETRY_AFTER, RETRY_AFTER[-1]), strict=True):
        due = replace(settled(a_captured_payment(), a_refund())[0], attempts=attempts)

        unanswered = refunds.answered(due, Unknown("timeout"), NOW)

        assert (unanswered.state, unanswered.due_at) == (State.DUE, NOW + wait)


def test_money_that_the_shop_took_is_given_back_by_the_shop() -> None:
    payment = a_captured_payment(collected_by=SHOP)

    awaiting = settled(payment, a_refund())[0]
    done = settled(payment, refunds.merge(awaiting, a_refund(reason=None, told=Told(SHOP, "2026112499"))))[0]

    assert awaiting.state is State.AWAITING_SHOP
    assert (done.state, done.reference) == (State.REFUNDED, "2026112499")
    assert refunds.follows(awaiting, done) == []


def test_a_shop_may_say_it_has_refunded_before_the_request_has_come() -> None:
    payment = a_captured_payment(collected_by=SHOP)
    said = settled(payment, a_refund(reason=None, told=Told(SHOP, "2026112499")))[0]

    asked_later = settled(payment, refunds.merge(said, a_refund()))[0]

    assert (said.state, asked_later.state) == (State.REFUNDED, State.REFUNDED)


def test_what_orders_asked_for_and_what_the_shop_said_add_up_whichever_was_heard_first() -> None:
    asked, said = a_refund(asked_by="lin"), a_refund(reason=None, told=Told(SHOP, "2026112499"))
    both = replace(asked, told=said.told)

    for first, second in ((asked, said), (said, asked), (both, asked), (both, said)):
        assert refunds.merge(refunds.merge(None, first), second) == both


def test_a_shop_that_says_two_sums_of_one_refund_contradicts_itself() -> None:
    told = a_refund(reason=None, told=Told(SHOP, "2026112499"))

    with pytest.raises(Contradiction, match="299"):
        refunds.merge(told, replace(told, amount=ONE_FEN))


def test_what_the_shop_has_given_back_does_not_stand_for_another_sum_that_orders_asks_for() -> None:
    done = settled(a_captured_payment(collected_by=SHOP), a_refund(reason=None, told=Told(SHOP, "2026112499")))[0]

    with pytest.raises(Contradiction, match="299"):
        refunds.merge(done, a_refund(amount=ONE_FEN))


def test_only_a_refund_that_was_asked_for_long_ago_may_be_forgotten() -> None:
    due = settled(a_captured_payment(), a_refund())[0]
    asked, tomorrow = replace(due, attempted_at=NOW), NOW + KEYS_LAST + timedelta(seconds=1)

    assert not refunds.may_be_forgotten(due, tomorrow)
    assert not refunds.may_be_forgotten(asked, NOW + KEYS_LAST)
    assert refunds.may_be_forgotten(asked, tomorrow)
    failed = refunds.answered(asked, Unknown("timeout"), tomorrow)
    assert (failed.state, failed.due_at) == (State.FAILED, None)
    assert [event.note() for event in refunds.follows(asked, failed)] == [
        "the provider has not said for 23:00:00 whether it sent the money (timeout); look there first"
    ]


def test_nobody_but_the_shop_that_took_the_money_can_say_it_gave_it_back() -> None:
    refunds.check_source(a_captured_payment(collected_by=SHOP), SHOP)
    refunds.check_source(a_payment(), SHOP)  # not known yet: it may be its own
    with pytest.raises(Contradiction, match="the money is taken by /shops/taobao-42"):
        refunds.check_source(a_captured_payment(collected_by=SHOP), "/shops/jd-7")
    with pytest.raises(Contradiction, match="the money is taken by us"):
        refunds.check_source(a_captured_payment(), SHOP)


def test_a_claim_that_came_before_its_order_and_proves_foreign_fails() -> None:
    claim = a_refund(reason=None, told=Told("/shops/jd-7", "x"))

    assert settled(a_payment(), claim)[0].state is State.WAITING
    assert settled(a_captured_payment(collected_by=SHOP), claim)[0].state is State.FAILED


BY_HAND = Told("/orderbus/orders", "SEPA-1")


def test_what_a_person_gave_back_by_hand_has_gone_and_nobody_is_asked_for_it() -> None:
    payment, asked = a_captured_payment(), a_refund(told=BY_HAND, asked_by="lin")

    done = settled(payment, asked)[0]

    assert (done.state, done.reference, done.due_at) == (State.REFUNDED, "SEPA-1", None)
    assert refunds.follows(None, done) == [PaymentRefunded(order_id="T-1", refund_id="R-1", amount=PRICE, reference="SEPA-1")]
    assert [(entry.kind, entry.reference) for entry in ledger.of_refund(payment, None, done)] == [("refunded", "SEPA-1")]
    assert settled(payment, refunds.merge(done, asked)) == [done]
    assert settled(a_payment(terms()), asked)[0].state is State.WAITING


def test_more_than_is_left_does_not_count_though_it_went_by_hand() -> None:
    first, second = settled(a_captured_payment(), a_refund(), a_refund(id="R-2", told=BY_HAND))

    assert (first.state, second.state) == (State.DUE, State.FAILED)


def test_a_word_by_hand_does_not_stand_for_what_a_shop_took() -> None:
    assert settled(a_captured_payment(collected_by=SHOP), a_refund(told=BY_HAND))[0].state is State.AWAITING_SHOP


def test_a_strangers_word_under_its_id_does_not_have_the_money_sent_as_well() -> None:
    for first, second in ((a_refund(reason=None, told=STRANGER), a_refund(told=BY_HAND)),):
        assert settled(a_captured_payment(), refunds.merge(first, second))[0].reference == "SEPA-1"
        assert settled(a_captured_payment(), refunds.merge(second, first))[0].reference == "SEPA-1"


def test_what_the_provider_sent_without_a_word_and_a_person_entered_may_come_back_like_any_other() -> None:
    unanswered = replace(a_refund(), state=State.FAILED, failure="look there first")
    found = settled(a_captured_payment(), a_refund(id="hand-1", told=Told("/orderbus/orders", "re_1")))[0]
    other = replace(found, order_id="T-2")
    known = {each.key: each for each in (unanswered, other, found)}

    assert refunds.entered_as(known, unanswered.key, Returned("re_1", "failed")) == found.key
    assert refunds.answered(found, Returned("re_1", "failed"), NOW).state is State.FAILED
    assert refunds.entered_as(known, unanswered.key, Returned("re_2", "failed")) == unanswered.key
    assert refunds.entered_as(known, unanswered.key, Sent("re_1")) == unanswered.key


STRANGER = Told("/shops/other", "x")
ONE_FEN = Money(amount=1, currency="CNY")


def test_a_strangers_word_does_not_stand_for_the_refund_that_orders_asks_for() -> None:
    asked_of_us = replace(a_refund(), told=STRANGER)

    assert settled(a_captured_payment(), asked_of_us)[0].state is State.DUE
    assert settled(a_captured_payment(collected_by=SHOP), asked_of_us)[0].state is State.AWAITING_SHOP


def test_a_word_of_another_sum_that_came_before_its_order_does_not_stand_in_the_way_of_what_orders_asks_for() -> None:
    told = replace(a_refund(reason=None), amount=ONE_FEN, told=STRANGER)

    assert refunds.merge(told, a_refund()) == a_refund()


def test_a_word_that_proved_foreign_has_failed_and_what_is_asked_for_under_its_id_stays_so() -> None:
    told = replace(a_refund(reason=None), amount=ONE_FEN, told=STRANGER)
    failed = settled(a_captured_payment(), told)[0]

    merged = refunds.merge(failed, a_refund())
    assert (merged.state, merged.reason) == (State.FAILED, "order_cancelled")


def test_a_refund_id_stands_for_one_amount_of_its_order() -> None:
    with pytest.raises(Contradiction, match="R-1"):
        refunds.merge(a_refund(), a_refund(amount=Money(amount=1, currency="CNY")))


def test_a_refund_in_another_currency_fails() -> None:
    assert settled(a_captured_payment(), a_refund(amount=Money(amount=1, currency="JPY")))[0].state is State.FAILED


@given(
    st.lists(st.integers(0, PRICE.amount), max_size=6),
    st.lists(st.sampled_from(["sent", "refused", "unknown", "returned"]), min_size=6, max_size=6),
)
def test_however_many_refunds_are_asked_for_never_more_goes_back_than_was_captured(amounts: list[int], fates: list[str]) -> None:
    payment = a_captured_payment()
    answers: dict[str, refunds.Answer] = {
        "sent": Sent("re"),
        "refused": Refused("no"),
        "unknown": Unknown("timeout"),
        "returned": Returned("re", "failed"),  # all that were sent before, too
    }
    known: list[Refund] = []

    for number, (amount, fate) in enumerate(zip(amounts, fates, strict=False)):
        asked = a_refund(id=f"R-{number}", amount=Money(amount=amount, currency="CNY"))
        known = [refunds.answered(refund, answers[fate], NOW) for refund in settled(payment, *known, asked)]

        assert refunds.given_back(known) <= PRICE.amount


@given(st.permutations(range(3)))
def test_refunds_that_waited_for_the_capture_are_settled_alike_in_any_sequence(sequence: list[int]) -> None:
    waiting = [a_refund(id=f"R-{n}", amount=Money(amount=20000, currency="CNY")) for n in range(3)]

    known = settled(a_captured_payment(), *(waiting[n] for n in sequence))

    assert [(refund.id, refund.state) for refund in sorted(known, key=lambda r: r.id)] == [
        ("R-0", State.DUE),
        ("R-1", State.FAILED),
        ("R-2", State.FAILED),
    ]
