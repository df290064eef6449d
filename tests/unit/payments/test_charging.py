"""What becomes of an order's charge."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.payments import charging
from services.payments.charging import KEYS_LAST, Ending, Errand, State
from services.payments.facts import (
    Cancelled,
    Captured,
    Closed,
    Expired,
    Fact,
    Held,
    Opened,
    Refused,
    Released,
    Reserved,
    Unknown,
)
from shared.events import Event
from shared.events.payments import (
    PaymentActionRequired,
    PaymentCaptured,
    PaymentFailed,
    PaymentReviewRequired,
    PaymentVoided,
)
from shared.money import Money
from tests.unit.payments.builders import NOW, PRICE, SHOP, SOON, a_payment, an_attempted_payment, terms, told


def test_nobody_is_charged_before_the_stock_is_set_aside() -> None:
    assert a_payment(terms()).errand is None


def test_nobody_is_charged_for_stock_whose_order_is_not_known() -> None:
    assert a_payment(Reserved()).errand is None


def test_an_order_whose_stock_is_set_aside_is_charged_whichever_was_known_first() -> None:
    for payment in (a_payment(terms(), Reserved()), a_payment(Reserved(), terms())):
        assert (payment.state, payment.errand) == (State.CHARGING, Errand.CHARGE)
        assert charging.plan(a_payment(), payment, NOW).due_at == NOW


def test_what_the_shop_collected_is_captured_and_never_charged_nor_announced() -> None:
    unknown = a_payment()

    collected = told(unknown, [terms(collected_by=SHOP, receipt="2026112422001"), Reserved()])

    assert (collected.ending, collected.reference, collected.errand) == (Ending.CAPTURED, "2026112422001", None)
    assert charging.follows(unknown, collected) == []


def test_captured_money_is_announced_with_the_providers_reference() -> None:
    before = an_attempted_payment()

    after = told(before, [Captured("pi_1", PRICE)])

    assert charging.follows(before, after) == [
        PaymentCaptured(order_id="T-1", payment_id=str(after.id), channel="card", amount=PRICE, reference="pi_1")
    ]
    assert told(after, [terms()]) == after


def test_nothing_more_is_asked_of_the_provider_once_the_charge_has_ended() -> None:
    asked = replace(an_attempted_payment(), due_at=NOW, attempts=3)

    planned = charging.plan(asked, told(asked, [Captured("pi_1", PRICE)]), NOW, asked=Errand.CHARGE)

    assert (planned.due_at, planned.attempts) == (None, 0)


def test_what_is_heard_meanwhile_does_not_put_off_what_is_to_be_asked() -> None:
    waiting = replace(an_attempted_payment(Opened("cs_1", "https://pay.example")), due_at=SOON, attempts=2)

    planned = charging.plan(waiting, told(waiting, [Released(SOON)]), NOW)

    assert (planned.due_at, planned.attempts) == (SOON, 2)


def test_a_declined_card_fails_with_the_providers_reason() -> None:
    before = an_attempted_payment()

    after = told(before, [Refused("insufficient_funds")])

    assert charging.follows(before, after) == [
        PaymentFailed(order_id="T-1", payment_id=str(after.id), reason="insufficient_funds")
    ]


def test_no_answer_is_not_a_refusal_and_is_asked_again_later_each_time() -> None:
    leased = replace(an_attempted_payment(), attempts=1)
    waits = []
    for attempts in (1, 2, 3, 4, 5, 6):
        known = told(replace(leased, attempts=attempts), [Unknown("timeout")])
        planned = charging.plan(leased, known, NOW, asked=Errand.CHARGE)
        assert (planned.errand, planned.ending) == (Errand.CHARGE, None)
        waits.append((planned.due_at or NOW) - NOW)

    assert waits == [timedelta(seconds=s) for s in (1, 2, 5, 15, 60, 60)]


def test_a_charge_is_not_asked_for_again_once_the_provider_may_have_forgotten_the_first_time() -> None:
    before = an_attempted_payment()
    tomorrow = NOW + KEYS_LAST + timedelta(seconds=1)

    after = told(before, [Unknown("timeout")], now=tomorrow)

    assert (after.state, after.errand) == (State.DOUBT, None)
    assert [type(event) for event in charging.follows(before, after)] == [PaymentReviewRequired]


def test_only_a_charge_that_was_asked_for_long_ago_may_be_forgotten() -> None:
    never_asked, asked = a_payment(terms(), Reserved()), an_attempted_payment()
    tomorrow = NOW + KEYS_LAST + timedelta(seconds=1)

    assert not charging.may_be_forgotten(never_asked, tomorrow)
    assert not charging.may_be_forgotten(asked, NOW + KEYS_LAST)
    assert charging.may_be_forgotten(asked, tomorrow)


def test_what_the_provider_knows_under_its_own_id_is_asked_about_for_as_long_as_it_takes() -> None:
    opened = an_attempted_payment(Opened("cs_1", "https://pay.example"))

    assert not charging.may_be_forgotten(opened, NOW + timedelta(days=9))


@pytest.mark.parametrize(
    ("call_off", "why"),
    [(Cancelled("changed my mind"), "changed my mind"), (Expired(), "the stock was set aside no longer")],
)
def test_a_charge_not_yet_attempted_is_voided_when_it_is_called_off(call_off: Fact, why: str) -> None:
    before = a_payment(terms(), Reserved())

    after = told(before, [call_off])

    assert after.errand is None
    assert charging.follows(before, after) == [PaymentVoided(order_id="T-1", payment_id=str(after.id), reason=why)]


def test_a_charge_called_off_while_it_is_asked_for_is_decided_by_the_answer() -> None:
    in_flight = an_attempted_payment(Cancelled("changed my mind"))

    assert (in_flight.ending, in_flight.errand) == (None, Errand.CHARGE)
    assert told(in_flight, [Captured("pi_1", PRICE)]).ending is Ending.CAPTURED
    assert told(in_flight, [Opened("cs_1", "https://pay.example")]).errand is Errand.VOID


def test_a_cancellation_after_the_money_is_ours_changes_nothing_here() -> None:
    captured = an_attempted_payment(Captured("pi_1", PRICE))

    after = told(captured, [Cancelled("too late")])

    assert after.ending is Ending.CAPTURED
    assert charging.follows(captured, after) == []


def test_a_large_order_waits_for_a_person_before_money_moves() -> None:
    before = a_payment(terms(concerns=("a large amount",)))

    after = told(before, [Reserved()])

    assert (after.state, after.errand) == (State.REVIEW, None)
    assert charging.follows(before, after) == [
        PaymentReviewRequired(order_id="T-1", payment_id=str(after.id), reasons=("a large amount",))
    ]


def test_a_large_order_is_charged_once_a_person_has_released_it() -> None:
    assert a_payment(terms(concerns=("a large amount",)), Reserved(), Released(SOON)).errand is Errand.CHARGE


def test_a_review_is_answered_by_the_time_at_which_it_was_asked_for_however_often_it_is_heard_why() -> None:
    placed = told(a_payment(), [terms(concerns=("a large amount",))], now=NOW)
    review = told(placed, [Reserved()], now=SOON)
    later = told(review, [Reserved()], now=SOON + timedelta(minutes=1))

    assert [type(event) for event in charging.follows(placed, review)] == [PaymentReviewRequired]
    assert (later.asked_at, charging.follows(review, later)) == (SOON, [])
    assert told(later, [Released(SOON, (SOON,))]).errand is Errand.CHARGE
    assert a_payment(terms(), Reserved()).asked_at is None


def test_a_release_that_was_given_before_the_review_does_not_answer_it_in_whichever_sequence_they_are_heard() -> None:
    large, elsewhere = terms(concerns=("a large amount",)), Released(SOON, (NOW - timedelta(minutes=5),))

    sequences: list[list[Fact]] = [[large, elsewhere, Reserved()], [large, Reserved(), elsewhere], [elsewhere, Reserved(), large]]
    for facts in sequences:
        payment, said = a_payment(), list[Event]()
        for fact in facts:
            before, payment = payment, told(payment, [fact])
            said += charging.follows(before, payment)

        assert (payment.state, [type(event) for event in said]) == (State.REVIEW, [PaymentReviewRequired])
        assert told(payment, [Released(SOON, (NOW,))]).errand is Errand.CHARGE


def test_a_review_that_does_not_say_since_when_it_is_is_answered_by_any_release() -> None:
    of_an_older_version = replace(a_payment(terms(concerns=("a large amount",)), Reserved()), review_at=None)

    assert told(of_an_older_version, [Released(SOON, (NOW,))]).errand is Errand.CHARGE


def test_a_review_that_ends_by_cancellation_voids_the_charge() -> None:
    assert a_payment(terms(concerns=("a large amount",)), Reserved(), Cancelled("fraud")).ending is Ending.VOIDED


@pytest.mark.parametrize("expired_first", [True, False])
def test_a_review_lasts_until_a_person_has_decided_however_long_stock_is_set_aside(expired_first: bool) -> None:
    large = terms(concerns=("a large amount",))
    facts: list[Fact] = [Expired(), large, Reserved()] if expired_first else [large, Reserved(), Expired()]
    before = a_payment(*facts[:-1])

    waiting = told(before, facts[-1:])

    assert (waiting.state, waiting.ending) == (State.REVIEW, None)
    assert told(waiting, [Released(SOON)]).errand is Errand.CHARGE
    assert told(waiting, [Cancelled("fraud")]).ending is Ending.VOIDED


@pytest.mark.parametrize("expired_first", [True, False])
def test_held_money_waits_for_a_person_however_long_stock_is_set_aside(expired_first: bool) -> None:
    facts: list[Fact] = [Expired(), Held("pi_1", "elevated_risk_level")]

    held = an_attempted_payment(*(facts if expired_first else reversed(facts)))

    assert (held.state, held.errand) == (State.HELD, None)
    assert told(held, [Released(SOON, (NOW,))]).errand is Errand.CAPTURE
    assert told(held, [Cancelled("fraud")]).errand is Errand.VOID


def test_money_that_the_provider_holds_waits_for_a_person_who_takes_it_or_lets_it_go() -> None:
    before = an_attempted_payment()

    held = told(before, [Held("pi_1", "elevated_risk_level")])
    taken, let_go = told(held, [Released(SOON, (NOW,))]), told(held, [Cancelled("fraud")])

    assert held.errand is None
    assert charging.follows(before, held) == [
        PaymentReviewRequired(order_id="T-1", payment_id=str(held.id), reasons=("elevated_risk_level",))
    ]
    assert (taken.state, taken.errand) == (State.CHARGING, Errand.CAPTURE)
    assert (let_go.state, let_go.errand) == (State.CHARGING, Errand.VOID)
    assert charging.plan(held, taken, SOON).due_at == charging.plan(held, let_go, SOON).due_at == SOON
    assert told(taken, [Cancelled("fraud")]).errand is Errand.VOID


def test_a_hold_that_the_provider_tells_of_again_is_the_same_hold() -> None:
    held = told(an_attempted_payment(), [Held("pi_1", "elevated_risk_level")], now=NOW)

    again = told(held, [Held("pi_1", "elevated_risk_level")], now=SOON)

    assert again.asked_at == NOW
    assert told(again, [Released(SOON, (NOW,))]).errand is Errand.CAPTURE


def test_what_the_provider_holds_is_what_a_person_is_asked_about_even_after_a_review() -> None:
    reviewed = told(a_payment(attempted_at=NOW), [terms(concerns=("a large amount",)), Reserved(), Released(SOON, (NOW,))])

    assert told(reviewed, [Held("pi_1", "elevated_risk_level")], now=SOON).asked_at == SOON


def test_a_release_that_answers_something_else_does_not_take_held_money_whatever_its_clock_says() -> None:
    hold, seen_earlier = Held("pi_1", "elevated_risk_level"), NOW - timedelta(minutes=5)

    for released_at in (NOW - timedelta(hours=1), NOW + timedelta(hours=1)):
        release = Released(released_at, (seen_earlier,))

        assert told(an_attempted_payment(), [release, hold]).state is State.HELD
        assert told(an_attempted_payment(), [hold, release]).state is State.HELD


def test_a_release_of_held_money_takes_it_even_if_the_clock_of_who_released_it_is_behind() -> None:
    held = an_attempted_payment(Held("pi_1", "elevated_risk_level"))

    assert told(held, [Released(NOW - timedelta(hours=1), (NOW,))]).errand is Errand.CAPTURE


def test_the_shopper_is_sent_to_the_providers_page_once() -> None:
    before = an_attempted_payment(channel="redirect")

    opened = told(before, [Opened("cs_1", "https://pay.example/cs_1")])
    again = told(opened, [Opened("cs_1")])
    cancelled = told(again, [Cancelled("changed my mind")])

    assert [type(event) for event in charging.follows(before, opened)] == [PaymentActionRequired]
    assert (again.state, charging.follows(opened, again)) == (State.ACTION_REQUIRED, [])
    assert (cancelled.state, cancelled.errand) == (State.CHARGING, Errand.VOID)


def test_nobody_is_sent_to_a_page_that_is_paid_already() -> None:
    paid = an_attempted_payment(Captured("pi_1", PRICE), channel="redirect")

    after = told(paid, [Opened("cs_1", "https://pay.example/cs_1")])

    assert charging.follows(paid, after) == []
    assert after.errand is None


def test_a_session_without_a_webhook_is_asked_for_after_ten_seconds_and_then_less_and_less_often() -> None:
    before = replace(an_attempted_payment(channel="redirect"), attempts=4)
    opened = charging.plan(before, told(before, [Opened("cs_1", "https://pay.example")]), NOW, asked=Errand.CHARGE)
    waits = [(opened.due_at or NOW) - NOW]
    for attempts in (1, 2, 6):
        asked = charging.plan(opened, replace(opened, attempts=attempts), NOW, asked=Errand.ASK)
        waits.append((asked.due_at or NOW) - NOW)

    assert (opened.errand, opened.attempts) == (Errand.ASK, 0)
    assert waits == [timedelta(seconds=s) for s in (10, 20, 40, 300)]


def test_a_session_that_lapses_by_itself_fails_and_one_that_was_called_off_is_voided() -> None:
    opened = an_attempted_payment(Opened("cs_1"), channel="redirect")

    lapsed = told(opened, [Closed()])

    assert charging.follows(opened, lapsed) == [PaymentFailed(order_id="T-1", payment_id=str(lapsed.id), reason="lapsed")]
    assert told(replace(opened, expired=True, stop_asked=True), [Closed()]).ending is Ending.VOIDED


@pytest.mark.parametrize(
    "amount", [Money(amount=1, currency="CNY"), Money(amount=PRICE.amount, currency="JPY")], ids=["amount", "currency"]
)
def test_money_that_is_not_what_was_asked_for_is_never_taken_for_the_payment(amount: Money) -> None:
    before = an_attempted_payment()

    after = told(before, [Captured("pi_1", amount), Released(SOON)])

    assert (after.state, after.ending, after.errand) == (State.DOUBT, None, None)
    assert [type(event) for event in charging.follows(before, after)] == [PaymentReviewRequired]


def test_money_in_doubt_is_shown_again_when_the_order_is_released_until_it_is_cancelled() -> None:
    doubtful = an_attempted_payment(Captured("pi_1", Money(amount=1, currency="CNY")))

    released = told(doubtful, [Released(SOON, (NOW,))])
    again = told(released, [Released(SOON, (NOW,))])
    cancelled = told(again, [Cancelled("settled with the provider")])
    seen_to = told(cancelled, [Released(SOON, (NOW, SOON))])

    [shown] = charging.follows(doubtful, released)
    assert isinstance(shown, PaymentReviewRequired)
    assert shown.in_doubt
    assert shown.reasons == ("the provider took 0.01 CNY (pi_1) where 299.00 CNY was asked for",)
    assert (released.state, released.errand) == (State.DOUBT, None)
    for before, after in ((released, again), (again, cancelled), (cancelled, seen_to)):
        assert charging.follows(before, after) == []


def test_money_that_comes_after_the_charge_ended_is_shown_once() -> None:
    doubtful = an_attempted_payment(Refused("generic_decline"), Captured("pi_1", PRICE))

    assert charging.follows(doubtful, told(doubtful, [Released(SOON, (NOW,))])) == []


def test_money_that_comes_after_the_charge_ended_is_shown_to_a_person() -> None:
    failed = an_attempted_payment(Refused("generic_decline"))

    after = told(failed, [Captured("pi_1", PRICE)])

    assert after.ending is Ending.FAILED
    assert [type(event) for event in charging.follows(failed, after)] == [PaymentReviewRequired]


@pytest.mark.parametrize("later", [Refused("generic_decline"), Closed(), Cancelled("fraud")])
def test_money_in_doubt_stays_in_doubt_whatever_is_said_later(later: Fact) -> None:
    doubtful = an_attempted_payment(Captured("pi_1", Money(amount=1, currency="CNY")))

    assert told(doubtful, [later]).state is State.DOUBT
