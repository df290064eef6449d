"""From what is known of an order to what is wrong with it, whose it is, and what happens next."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from deploy.doctor.case import Ask, Case, Finding, Whose
from deploy.doctor.unheard import unheard
from services.orders.order import Status
from services.payments import charging, refunds

WORD = timedelta(minutes=1)
"""An event takes milliseconds from one service to the next. Whoever has not heard of it after this will not."""

CLAIM = timedelta(minutes=1)
"""What is due is claimed within a second."""

PARTNER = timedelta(minutes=2)
"""A partner answers within seconds; asked for longer than this, it is said."""

PATIENCE = timedelta(hours=1)
"""A partner that has not answered for so long is called by a person."""

SHOP = timedelta(days=1)
"""A shop that took the money has so long to give it back."""


def diagnose(case: Case, now: datetime) -> list[Finding]:
    """Everything about the order that is past its time; nothing for one that is on its way or at rest."""
    findings = [
        *_held(case),
        *_letters(case),
        *(finding for ask in case.asks if (finding := _asked(case, ask, now))),
        *_owed_by_shop(case, now),
        *_not_completed(case, now),
    ]
    if not findings and now - case.last > WORD:
        findings = _unheard(case) or _unexplained(case)
    return findings


def while_stopped(findings: Sequence[Finding], stopped: Sequence[str], now: datetime) -> list[Finding]:
    """The findings, while parts of the stack do not run: that is mended first. What is not heard may wait there, and is not to be
    said again yet."""
    if not (stopped and findings):
        return list(findings)
    first = Finding(None, Whose.PERSON, now, ", ".join(stopped), "./orderbus up starts it; then look again")
    waits = "it may be heard by itself, once all of the stack runs"
    return [first, *(replace(each, whose=Whose.SERVICE, next=waits) if each.whose is Whose.DOCTOR else each for each in findings)]


def _held(case: Case) -> list[Finding]:
    order = case.order
    if order.status is not Status.HELD:
        return []
    if order.is_astray:
        how = "see to the parcel, then release it"
    elif order.is_in_doubt:
        how = "look at the payment partner's books, give back what it has, cancel it, then release it"
    elif order.is_refund_refused:
        where = f"POST /api/orders/{order.id}/refunds"
        how = f"ask for the refund again ({where}), or give it back by hand and say so there (by_hand)"
        how += "" if order.cancel_reason else ", then release it"
    else:
        how = "release it, or cancel it"
    by_hand = [
        f"{refund.asked_by} gave back {refund.amount} minor units by hand: {refund.by_hand}"
        for refund in order.refunds.values()
        if refund.by_hand and not refund.failure
    ]
    return [_of(case, Whose.PERSON, f"held: {'; '.join((*order.waits_for, *by_hand))}", how)]


def _letters(case: Case) -> list[Finding]:
    return [
        _of(
            case,
            Whose.PERSON,
            f"{each.service} cannot handle {each.type}: {each.reason}",
            f"./orderbus dead-letters show {each.id}",
        )
        if each.is_dead
        else _of(
            case, Whose.SERVICE, f"{each.service} could not handle {each.type}: {each.reason}", "it is tried again by itself"
        )
        for each in case.letters
    ]


def _asked(case: Case, ask: Ask, now: datetime) -> Finding | None:
    """A partner's answer that is missing. A shopper who has not paid yet is no partner: his stock runs out of time first."""
    what = f"{ask.service}: {ask.what}"
    if now - ask.due_at > CLAIM:
        return _of(
            case,
            Whose.PERSON,
            f"{what} was due at {_at(ask.due_at)}",
            f"see whether {ask.service} runs: its log, ./orderbus status",
        )
    if case.payment.state is charging.State.ACTION_REQUIRED and ask.service == "payments":
        return None
    if now - ask.since < PARTNER:
        return None
    found, again = f"{what} has no answer, asked {ask.attempts} times", f"asked again at {_at(ask.due_at)} by itself"
    if now - ask.since > PATIENCE:
        return _of(case, Whose.PERSON, found, f"ask the partner; {again}")
    return _of(case, Whose.SERVICE, found, again)


def _owed_by_shop(case: Case, now: datetime) -> list[Finding]:
    return [
        _of(case, Whose.PERSON, f"{case.payment.terms.collected_by} has not given back {refund.amount}", "remind the shop")
        for refund in case.refunds
        if refund.state is refunds.State.AWAITING_SHOP and now - case.last > SHOP
    ]


def _not_completed(case: Case, now: datetime) -> list[Finding]:
    if case.complete_at is None or now - case.complete_at < CLAIM:
        return []
    found = f"delivered, and was to be completed at {_at(case.complete_at)}"
    return [_of(case, Whose.PERSON, found, "see whether orders runs: its log, ./orderbus status")]


def _unheard(case: Case) -> list[Finding]:
    """One finding a word: each can be said again by itself."""
    return [
        _of(case, Whose.DOCTOR, f"{event.type} was said by {service}, and not heard by all", "--heal lets it be said again")
        for service, event in unheard(case)
    ]


def _unexplained(case: Case) -> list[Finding]:
    """Placed and not paid, or paid and not shipped, and nothing is under way that would change it."""
    waits_for_shopper = case.payment.state is charging.State.ACTION_REQUIRED
    if case.asks or waits_for_shopper or case.order.status not in (Status.PLACED, Status.PAID):
        return []
    found = (
        f"{case.order.status}; stock {case.reservation.state}, payment {case.payment.state}, parcel {case.shipment.state}, "
        "and nothing is under way"
    )
    return [_of(case, Whose.PERSON, found, "./orderbus orders timeline tells what was said")]


def _of(case: Case, whose: Whose, found: str, then: str) -> Finding:
    return Finding(case.order.id, whose, case.last, found, then)


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
