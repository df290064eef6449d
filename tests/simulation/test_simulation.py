"""Random histories of the four services keep what the audit promises; and the simulation can be trusted with that."""

import inspect
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime

import pytest

from services.inventory import reservation
from services.logistics import shipping
from services.orders import learning, lifecycle, refunding
from services.orders.order import Order
from services.payments import charging, refunds
from services.payments.charging import Payment
from tests.simulation.playing import play, play_all
from tests.simulation.plugged import STORES, stand_ins

SECONDS = 2
"""As long as every run of the tests can spare; `python -m tests.simulation` plays on."""


@pytest.mark.parametrize("first", [0, 1_000_000])
def test_whatever_happens_every_history_ends_as_the_audit_promises(first: int) -> None:
    began = time.monotonic()
    for outcome in play_all(range(first, first + 5_000)):
        assert not outcome.broken, str(outcome)
        if time.monotonic() - began > SECONDS:
            return


def test_a_seed_reproduces_its_history_to_the_letter() -> None:
    for seed in range(8):
        assert play(seed, traced=True) == play(seed, traced=True)


PLAY = "from tests.simulation.playing import *; print([play(seed, traced=True) for seed in range(40)])"


def test_a_seed_is_the_same_history_in_every_process_whatever_its_hashes() -> None:
    here = repr([play(seed, traced=True) for seed in range(40)])

    for hashes in ("0", "1", "2"):
        told = subprocess.run([sys.executable, "-c", PLAY], env=os.environ | {"PYTHONHASHSEED": hashes}, stdout=subprocess.PIPE)
        assert told.stdout.decode().strip() == here


def test_histories_do_not_depend_on_what_was_played_before() -> None:
    several = list(play_all(range(5), traced=True))

    assert [play(seed, traced=True) for seed in range(5)] == several


@pytest.mark.parametrize(("store", "memory"), STORES, ids=[store.__name__ for store, _ in STORES])
def test_a_store_in_memory_is_asked_as_the_one_in_sql_is(store: object, memory: object) -> None:
    functions = stand_ins(memory)  # type: ignore[arg-type]

    assert functions
    for name, function in functions.items():
        assert inspect.signature(function) == inspect.signature(getattr(store, name)), name


def finds_something(histories: int = 1500) -> bool:
    return any(outcome.broken for outcome in play_all(range(histories)))


def test_it_finds_a_charge_that_is_not_called_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Payment, "is_called_off", property(lambda payment: payment.expired))

    assert finds_something()


def test_it_finds_a_charge_that_is_asked_for_when_its_key_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charging, "may_be_forgotten", lambda payment, now: False)

    assert finds_something()


def test_it_finds_a_release_that_is_judged_by_two_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def approved(payment: Payment) -> bool:
        return bool(payment.held_at and payment.released_at and payment.released_at > payment.held_at)

    monkeypatch.setattr(Payment, "is_hold_approved", property(approved))

    assert finds_something()


def test_it_finds_a_release_that_was_given_before_anybody_had_seen_what_worries_us(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_screened(payment: Payment) -> bool:
        return not payment.terms.concerns or bool(payment.answered)

    monkeypatch.setattr(Payment, "is_screened", property(is_screened))

    assert finds_something()


def test_it_finds_money_in_doubt_that_is_shown_no_more_once_it_was_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charging, "_is_released_in_vain", lambda before, after: False)

    assert finds_something()


def test_it_finds_money_in_doubt_that_nobody_has_seen_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Order, "is_in_doubt", property(lambda order: False))

    assert finds_something()


def test_it_finds_money_that_is_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "settle", lambda order: order)

    assert finds_something()


def test_it_finds_stock_that_a_cancelled_order_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservation.Reservation, "gives_back", property(lambda reservation: False))

    assert finds_something()


def test_it_finds_a_waybill_that_is_not_withdrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping.Shipment, "owes_withdrawal", property(lambda shipment: False))

    assert finds_something()


def test_it_finds_a_failure_that_a_release_by_another_clock_hides(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = shipping.release

    def release(shipment: shipping.Shipment, carrier: str | None, at: object) -> shipping.Shipment:
        after = answer(shipment, carrier, at)  # type: ignore[arg-type]
        return after if after is shipment else replace(after, answered_failure_at=after.released_at)

    monkeypatch.setattr(shipping, "release", release)

    assert finds_something()


def test_it_finds_what_a_shop_gave_back_before_its_order_was_known_and_was_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    fill_in = lifecycle.fill_in
    monkeypatch.setattr(lifecycle, "fill_in", lambda known, order: fill_in(known.but(claims=()), order))

    assert finds_something()


def test_it_finds_money_that_counts_as_given_back_on_a_strangers_word(monkeypatch: pytest.MonkeyPatch) -> None:
    count = refunding._count_claims

    def believe(order: Order) -> Order:
        collected_by = order.placed.collected_by if order.placed else None
        told = (claim.model_copy(update={"source": collected_by}) if collected_by else claim for claim in order.claims)
        return count(order.but(claims=tuple(told)))

    monkeypatch.setattr(refunding, "_count_claims", believe)

    assert finds_something()


def test_it_finds_an_order_that_goes_on_although_all_its_money_went_back(monkeypatch: pytest.MonkeyPatch) -> None:
    settle = refunding.settle
    for module in (lifecycle, learning):
        monkeypatch.setattr(module, "settle", lambda order: settle(order).but(given_back_first=False))

    assert finds_something()


def test_it_finds_a_refused_refund_that_nobody_can_ask_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Order, "is_refund_refused", property(lambda order: False))

    assert finds_something()


def test_it_finds_a_refund_that_came_back_and_counts_as_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refunds, "_came_back", lambda refund, returned: refund)

    assert finds_something()


def test_it_finds_money_that_came_back_and_is_not_in_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refunds, "has_come_back", lambda before, after: False)

    assert finds_something()


def test_it_finds_money_that_went_by_hand_and_that_the_provider_is_asked_for_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    merge = refunds.merge
    monkeypatch.setattr(refunds, "merge", lambda known, said: merge(known, replace(said, told=None) if said.reason else said))

    assert finds_something()


def test_it_finds_a_transfer_that_the_bank_returned_and_that_stays_in_the_books(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = refunds.answered

    def answered_without_the_bank(refund: refunds.Refund, answer: refunds.Answer, now: datetime) -> refunds.Refund:
        is_the_banks = isinstance(answer, refunds.Returned) and refund.told is not None
        return refund if is_the_banks else answered(refund, answer, now)

    monkeypatch.setattr(refunds, "answered", answered_without_the_bank)

    assert finds_something()


def test_it_finds_a_transfer_that_counts_twice_because_it_was_said_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refunding, "refund_by", lambda order, reference: None)

    assert finds_something()


def test_it_finds_pieces_that_are_sold_again_although_their_parcel_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_back(each: reservation.Reservation) -> bool:
        return bool(each.allocations) and (each.cancelled or each.expired)

    monkeypatch.setattr(reservation.Reservation, "gives_back", property(gives_back))

    assert finds_something()


def test_it_finds_a_parcel_that_left_after_all_and_is_shown_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Order, "is_astray", property(lambda order: False))

    assert finds_something()


def test_it_finds_pieces_that_never_come_back_because_nobody_says_that_there_is_no_parcel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def is_called_off(each: shipping.Shipment) -> bool:
        return bool(each.paid_at and each.cancelled_at and each.withdrawn_at and not each.has_left)

    monkeypatch.setattr(shipping.Shipment, "is_called_off", property(is_called_off))

    assert finds_something()
