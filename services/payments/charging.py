"""One order's charge. Facts only ever accumulate; they add up to a state, to what must be asked of the provider next,
and in the end to exactly one of captured, failed and voided."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from uuid_utils.compat import uuid5

from services.payments.facts import (
    Cancelled,
    Captured,
    Closed,
    Expired,
    Fact,
    Held,
    Opened,
    Placed,
    Refused,
    Released,
    Reserved,
    Unknown,
)
from shared.events import Envelope, Event
from shared.events.payments import (
    PaymentActionRequired,
    PaymentCaptured,
    PaymentFailed,
    PaymentReviewRequired,
    PaymentVoided,
)
from shared.records import replace

RETRY_AFTER = tuple(timedelta(seconds=s) for s in (1, 2, 5, 15, 60))
"""A provider that did not answer is asked again, in the end every minute."""

ASK_AFTER = tuple(timedelta(seconds=s) for s in (10, 20, 40, 80, 160, 300))
"""A shopper's result comes by webhook, mostly within seconds; a lost one is asked for, in the end every five minutes."""

KEYS_LAST = timedelta(hours=23)
"""Stripe remembers an idempotency key for a day: asked again after that, it might charge a second time."""

NOT_ASKED_AGAIN = "not asked again, it may have forgotten that it was"
"""Why there is no answer of a provider whom nobody could ask in time."""


_OURS = UUID("1ba35aba-e9e7-4414-84ef-778c6e767f06")


def id_of(order_id: str) -> UUID:
    """The order's payment's: the same whenever the order is heard of, so that a provider who is asked again after a restore
    is asked under the same idempotency key."""
    return uuid5(_OURS, order_id)


class Ending(StrEnum):
    """A charge ends in exactly one of these."""

    CAPTURED = "captured"
    FAILED = "failed"
    VOIDED = "voided"


class State(StrEnum):
    """What the facts add up to."""

    WAITING = "waiting"  # for the order, or for its stock
    REVIEW = "review"  # screening wants a person to look
    CHARGING = "charging"  # the provider is being asked
    ACTION_REQUIRED = "action_required"  # the shopper must pay
    HELD = "held"  # the provider wants a person to decide
    DOUBT = "doubt"  # only a person can find out, at the provider
    CAPTURED = "captured"
    FAILED = "failed"
    VOIDED = "voided"


class Errand(StrEnum):
    """What is to be asked of the provider next."""

    CHARGE = "charge"
    ASK = "ask"
    CAPTURE = "capture"
    VOID = "void"


@dataclass(frozen=True)
class Payment:
    """What is known of an order's charge."""

    id: UUID
    order_id: str
    placed: Placed | None = None
    reserved: bool = False
    expired: bool = False
    cancelled: str | None = None
    review_at: datetime | None = None
    released_at: datetime | None = None
    answered: tuple[datetime, ...] = ()
    attempted_at: datetime | None = None
    stop_asked: bool = False
    provider_id: str | None = None
    url: str | None = None
    held_at: datetime | None = None
    hold_reason: str | None = None
    reference: str | None = None
    refused: str | None = None
    closed: bool = False
    doubt: str | None = None
    ending: Ending | None = None
    refunding: int = 0
    due_at: datetime | None = None
    attempts: int = 0
    cause: Envelope | None = None

    @property
    def terms(self) -> Placed:
        """What is to be paid, and how, of a payment whose order is known."""
        assert self.placed is not None, f"the order {self.order_id} is not known yet"
        return self.placed

    @property
    def is_a_persons(self) -> bool:
        """Whether a person is, or was, to decide about it: who looks takes longer than stock is set aside for."""
        return bool(self.held_at or (self.placed and self.placed.concerns))

    @property
    def is_called_off(self) -> bool:
        """Whether the money is not wanted any more. Stock that ran out of time ends nothing that a person was asked about: once
        it is paid, inventory takes stock again, or says that there is none."""
        return self.cancelled is not None or (self.expired and not self.is_a_persons)

    @property
    def is_to_be_reviewed(self) -> bool:
        """Whether something about the order worries us, now that it could be charged."""
        return self.reserved and self.placed is not None and bool(self.placed.concerns)

    @property
    def is_screened(self) -> bool:
        """Whether nothing about the order worries us, or a person has seen what does. A release that says what it answers counts
        only if it answers the review: another was given without knowing what worries us."""
        return not self.terms.concerns or self.released_at is not None or self.review_at in self.answered

    @property
    def is_hold_approved(self) -> bool:
        """A release counts only if it answers the hold: another was given without knowing what worries the provider.
        Its time does not tell: it is by another service's clock."""
        return self.held_at in self.answered

    @property
    def asked_at(self) -> datetime | None:
        """When a person was asked to look, at what the provider holds or at what screening found: releases know it by that."""
        return self.held_at or self.review_at

    @property
    def state(self) -> State:
        """What the facts add up to."""
        if self.ending:
            return State(self.ending)
        if self.doubt:
            return State.DOUBT
        if self.placed is None or not self.reserved:
            return State.WAITING
        if self.attempted_at is None:
            return State.CHARGING if self.is_screened else State.REVIEW
        if self.held_at and not self.is_hold_approved and not self.is_called_off:
            return State.HELD
        return State.ACTION_REQUIRED if self.url and not self.is_called_off else State.CHARGING

    @property
    def errand(self) -> Errand | None:
        """What is to be asked of the provider next, if anything."""
        if self.ending or self.doubt or self.placed is None:
            return None
        if self.attempted_at is None:
            return Errand.CHARGE if self.reserved and self.is_screened and not self.is_called_off else None
        if self.provider_id is None:
            return Errand.CHARGE  # it was asked, and no answer came: whatever else has happened since, that must be known
        if self.is_called_off:
            return Errand.VOID
        if self.held_at:
            return Errand.CAPTURE if self.is_hold_approved else None
        return Errand.ASK

    def concluded(self) -> Event:
        """The one event with which the charge ends."""
        order_id, payment_id = self.order_id, str(self.id)
        match self.ending:
            case Ending.CAPTURED:
                assert self.reference is not None
                channel, amount = self.terms.channel, self.terms.amount
                return PaymentCaptured(
                    order_id=order_id, payment_id=payment_id, channel=channel, amount=amount, reference=self.reference
                )
            case Ending.FAILED:
                return PaymentFailed(order_id=order_id, payment_id=payment_id, reason=self.refused or "lapsed")
            case Ending.VOIDED:
                reason = self.cancelled or "the stock was set aside no longer"
                return PaymentVoided(order_id=order_id, payment_id=payment_id, reason=reason)
            case None:
                raise AssertionError("the charge has not ended")

    def review(self) -> Event:
        """What a person must look at."""
        reasons = [self.doubt] if self.doubt else [self.hold_reason] if self.held_at else self.terms.concerns
        return PaymentReviewRequired(
            order_id=self.order_id,
            payment_id=str(self.id),
            reasons=tuple(reason for reason in reasons if reason),
            in_doubt=self.doubt is not None,
        )


def unheard_of(order_id: str) -> Payment:
    """The payment of an order of which nothing is known."""
    return Payment(id_of(order_id), order_id)


def learn(payment: Payment, fact: Fact, now: datetime) -> Payment:
    """The payment with one more fact; one that is known already changes nothing."""
    known = _with(payment, fact, now)
    if known.is_to_be_reviewed and not payment.is_to_be_reviewed:
        known = replace(known, review_at=now)
    ending = known.ending or _ending(known)
    return known if ending is known.ending else replace(known, ending=ending)


def _with(payment: Payment, fact: Fact, now: datetime) -> Payment:
    match fact:
        case Placed():
            return payment if payment.placed else replace(payment, placed=fact, reference=fact.receipt)
        case Reserved():
            return replace(payment, reserved=True)
        case Expired():
            return replace(payment, expired=True)
        case Cancelled(reason):
            return replace(payment, cancelled=payment.cancelled or reason)
        case Released(at, answers):
            return _released(payment, at, answers)
        case Opened(provider_id, url):
            return replace(payment, provider_id=payment.provider_id or provider_id, url=payment.url or url)
        case Held(provider_id, reason):
            return replace(payment, provider_id=provider_id, held_at=payment.held_at or now, hold_reason=reason)
        case Captured():
            return _with_money(payment, fact)
        case Refused(reason):
            return replace(payment, refused=payment.refused or reason)
        case Closed():
            return replace(payment, closed=True)
        case Unknown(why):
            return _without_answer(payment, why, now)


def _released(payment: Payment, at: datetime, answers: tuple[datetime, ...]) -> Payment:
    """A release that does not say what it answers, or that meets a review which does not say since when it is, answers the
    review: both are of versions that did not ask."""
    answered = tuple(sorted({*payment.answered, *answers}))
    if answers and (payment.review_at or not payment.is_to_be_reviewed):
        return replace(payment, answered=answered)
    return replace(payment, answered=answered, released_at=max(at, payment.released_at or at))


def _with_money(payment: Payment, captured: Captured) -> Payment:
    """Money is ours when it is what was asked for; anything else a person must settle with the provider."""
    if payment.ending is Ending.CAPTURED:
        return payment
    if payment.ending:
        return replace(payment, doubt=f"the provider took {captured.amount} ({captured.reference}) after it was {payment.ending}")
    if captured.amount != payment.terms.amount:
        asked = payment.terms.amount
        return replace(payment, doubt=f"the provider took {captured.amount} ({captured.reference}) where {asked} was asked for")
    return replace(payment, reference=captured.reference)


def may_be_forgotten(payment: Payment, now: datetime) -> bool:
    """The provider was asked to charge, and may not remember it any more: asked again, it might charge a second time."""
    return payment.errand is Errand.CHARGE and payment.attempted_at is not None and now - payment.attempted_at > KEYS_LAST


def _without_answer(payment: Payment, why: str, now: datetime) -> Payment:
    """Asked again, for as long as the provider remembers that it was asked."""
    if may_be_forgotten(payment, now):
        return replace(payment, doubt=f"the provider has not said for {KEYS_LAST} whether it took the money ({why})")
    return payment


def _ending(payment: Payment) -> Ending | None:
    if payment.placed is None:
        return None
    if payment.reference:
        return Ending.CAPTURED
    if payment.doubt:
        return None
    if payment.refused:
        return Ending.FAILED
    if payment.closed:
        return Ending.VOIDED if payment.stop_asked else Ending.FAILED
    if payment.is_called_off and payment.attempted_at is None:
        return Ending.VOIDED
    return None


def follows(before: Payment, after: Payment) -> list[Event]:
    """What has just become true. Of money that the shop took, orders knows already."""
    if after.doubt and (not before.doubt or _is_released_in_vain(before, after)):
        return [after.review()]
    if after.ending and not before.ending:
        return [] if after.terms.collected_by else [after.concluded()]
    if after.state is before.state:
        return []
    match after.state:
        case State.REVIEW | State.HELD:
            return [after.review()]
        case State.ACTION_REQUIRED:
            return [PaymentActionRequired(order_id=after.order_id, payment_id=str(after.id), url=after.url)]
        case _:
            return []


def _is_released_in_vain(before: Payment, after: Payment) -> bool:
    """A person let the order go on, and it cannot: that is said again, or nobody would know. One that is called off, or whose
    charge has ended, is to go nowhere."""
    is_released = (after.released_at, after.answered) != (before.released_at, before.answered)
    return is_released and after.ending is None and after.cancelled is None


def plan(before: Payment, after: Payment, now: datetime, asked: Errand | None = None) -> Payment:
    """When the provider is asked next. `asked`: it has just been asked this, and what it said did not end it."""
    errand = after.errand
    if errand is None:
        return replace(after, due_at=None, attempts=0) if after.due_at else after
    if errand is not before.errand:
        return replace(after, due_at=now + (ASK_AFTER[0] if errand is Errand.ASK else timedelta()), attempts=0)
    if errand is asked:
        return replace(after, due_at=now + _wait(errand, after.attempts))
    return after


def _wait(errand: Errand, attempts: int) -> timedelta:
    if errand is Errand.ASK:
        return ASK_AFTER[min(attempts, len(ASK_AFTER) - 1)]
    return RETRY_AFTER[min(max(attempts, 1), len(RETRY_AFTER)) - 1]
