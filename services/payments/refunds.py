"""Money that goes back. Never more than was captured, and by whoever took it: us, or the shop."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.payments.charging import KEYS_LAST, RETRY_AFTER, Ending, Payment
from shared.events import OURS, Envelope, Event
from shared.events.payments import PaymentRefunded, RefundFailed
from shared.money import Money
from shared.records import replace


class State(StrEnum):
    """How far a refund is."""

    WAITING = "waiting"  # for what becomes of the charge
    DUE = "due"  # the provider is being asked
    AWAITING_SHOP = "awaiting_shop"
    REFUNDED = "refunded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Told:
    """What a shop says it has given back; or orders, that a person gave it back by hand."""

    source: str
    reference: str

    @property
    def by_hand(self) -> bool:
        """It is our own orders that says so, of what we had taken."""
        return self.source.startswith(OURS)

    @property
    def taken_by(self) -> str | None:
        """Whose the money must have been for this to count: a shop's, or None, ours."""
        return None if self.by_hand else self.source


RefundKey = tuple[str, str]
"""Its order, and what it is called there: shops count their refunds from one, each for itself."""


@dataclass(frozen=True)
class Refund:
    """What is known of one refund. `reason` is set once orders has asked for it, with `asked_by` where a person or a system
    did; `told` once a shop, or a person of ours, says it is done."""

    id: str
    order_id: str
    amount: Money
    reason: str | None = None
    asked_by: str | None = None
    told: Told | None = None
    state: State = State.WAITING
    reference: str | None = None
    failure: str | None = None
    attempted_at: datetime | None = None
    due_at: datetime | None = None
    attempts: int = 0
    cause: Envelope | None = None

    @property
    def key(self) -> RefundKey:
        """What it is known by."""
        return self.order_id, self.id

    @property
    def claims_money(self) -> bool:
        """Whether its amount is given back, or is about to be."""
        return self.state in (State.DUE, State.AWAITING_SHOP, State.REFUNDED)


@dataclass(frozen=True, slots=True)
class Owed:
    """A refund that is to be asked of the provider, and the payment it goes back from."""

    refund: Refund
    payment: Payment

    @property
    def cause(self) -> Envelope | None:
        return self.refund.cause

    @property
    def attempts(self) -> int:
        return self.refund.attempts


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider has the money on its way back, under this id."""

    reference: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will not send it; asking again changes nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer came; the money may or may not be on its way."""

    why: str


@dataclass(frozen=True, slots=True)
class Returned:
    """The provider had taken it on under this id, maybe days ago, and the money is back with it: a card that was closed, a bank
    that sends it back."""

    reference: str
    reason: str


Answer = Sent | Refused | Unknown | Returned


class Contradiction(ValueError):
    """What was said of a refund does not agree with what is known of it."""


def merge(known: Refund | None, said: Refund) -> Refund:
    """What is known with what was said, whichever came first. Raises Contradiction when they are not the same refund; but
    what was told before anybody could judge it does not stand in the way of what orders asks for under the same id."""
    if known is None:
        return said
    if known.reason is None and said.reason and known.amount != said.amount:
        if known.state is State.WAITING:
            return said
        if known.state is State.FAILED:  # that was said, and orders asks again under another id
            return replace(known, reason=said.reason)
    if known.amount != said.amount:
        raise Contradiction(f"refund {said.id} of order {said.order_id} is {known.amount}, not {said.amount}")
    return replace(
        known,
        reason=known.reason or said.reason,
        asked_by=known.asked_by or said.asked_by,
        told=said.told if said.told and said.told.by_hand else known.told or said.told,
    )


def check_source(payment: Payment, source: str) -> None:
    """Only the shop that took the money can say that it gave it back. An order not known yet may still be its own.
    Raises Contradiction."""
    if payment.placed is not None and payment.placed.collected_by != source:
        taken_by = payment.placed.collected_by or "us"
        raise Contradiction(f"{source} says it refunded order {payment.order_id}, but the money is taken by {taken_by}")


def settle(payment: Payment, refunds: Iterable[Refund], now: datetime) -> list[Refund]:
    """How far each refund can go, now that so much is known of the payment; the earliest asked for comes first."""
    settled: list[Refund] = []
    refunds = sorted(refunds, key=lambda refund: (not refund.claims_money, refund.id))
    for refund in refunds:
        left = payment.terms.amount.amount - given_back(settled) if payment.ending is Ending.CAPTURED else 0
        settled.append(_settle(payment, refund, left, now))
    return settled


def _settle(payment: Payment, refund: Refund, left: int, now: datetime) -> Refund:
    if payment.ending is None or refund.state not in (State.WAITING, State.AWAITING_SHOP):
        return refund
    if refund.reason and refund.told and refund.told.taken_by != payment.terms.collected_by:
        refund = replace(refund, told=None)  # a stranger's word, under the id of what orders asked for
    if refund.state is State.WAITING and (failure := _objection(payment, refund, left)):
        return replace(refund, state=State.FAILED, failure=failure)
    if refund.told is not None:
        return replace(refund, state=State.REFUNDED, reference=refund.told.reference)
    if payment.terms.collected_by is None:
        return replace(refund, state=State.DUE, due_at=now)
    return replace(refund, state=State.AWAITING_SHOP)


def _objection(payment: Payment, refund: Refund, left: int) -> str | None:
    """Why it cannot be given back, if so."""
    if payment.ending is not Ending.CAPTURED:
        return f"nothing was captured: the charge was {payment.ending}"
    if refund.amount.currency != payment.terms.amount.currency:
        return f"{refund.amount} of a payment in {payment.terms.amount.currency}"
    if refund.amount.amount > left:
        return f"{refund.amount} is more than is left of what was captured, {payment.terms.amount}"
    if refund.told and refund.told.taken_by != payment.terms.collected_by:
        return f"{refund.told.source} says it refunded what {payment.terms.collected_by or 'we'} took"
    return None


def may_be_forgotten(refund: Refund, now: datetime) -> bool:
    """The provider was asked for it, and may not remember it any more: asked again, it might send the money a second time."""
    return refund.attempted_at is not None and now - refund.attempted_at > KEYS_LAST


def answered(refund: Refund, answer: Answer, now: datetime) -> Refund:
    """The refund with what the provider said."""
    if isinstance(answer, Returned):
        return _came_back(refund, answer)
    if refund.state is not State.DUE:
        return refund
    match answer:
        case Sent(reference):
            return replace(refund, state=State.REFUNDED, reference=reference, due_at=None)
        case Refused(reason):
            return replace(refund, state=State.FAILED, failure=reason, due_at=None)
        case Unknown(why) if may_be_forgotten(refund, now):
            failure = f"the provider has not said for {KEYS_LAST} whether it sent the money ({why}); look there first"
            return replace(refund, state=State.FAILED, failure=failure, due_at=None)
        case Unknown():
            wait: timedelta = RETRY_AFTER[min(max(refund.attempts, 1), len(RETRY_AFTER)) - 1]
            return replace(refund, due_at=now + wait)


def _came_back(refund: Refund, returned: Returned) -> Refund:
    """Whether it had been heard of as sent, or is heard of as returned first. It is not asked for again by itself: the same card
    would send it back again."""
    is_the_one = refund.state is State.DUE or (refund.state is State.REFUNDED and refund.reference == returned.reference)
    if not is_the_one:
        return refund
    failure = f"it was sent as {returned.reference} and came back: {returned.reason}"
    return replace(refund, state=State.FAILED, reference=None, failure=failure, due_at=None)


def entered_as(known: Mapping[RefundKey, Refund], key: RefundKey, answer: Answer) -> RefundKey:
    """Which refund the answer is about. What the provider sent without a word, a person may have entered, by its reference."""
    if not isinstance(answer, Returned):
        return key
    in_books = (each.key for each in known.values() if each.order_id == key[0] and each.reference == answer.reference)
    return next(in_books, key)


def has_come_back(before: Refund | None, after: Refund) -> bool:
    """Whether money that had gone is ours again."""
    return before is not None and before.state is State.REFUNDED and after.state is State.FAILED


def given_back(refunds: Iterable[Refund]) -> int:
    """How much of a payment is given back, or about to be, in minor units."""
    return sum(refund.amount.amount for refund in refunds if refund.claims_money)


def follows(before: Refund | None, after: Refund) -> list[Event]:
    """What has just become true. What a shop says it gave back, orders has heard from the shop."""
    if before is not None and before.state is after.state:
        return []
    match after.state:
        case State.REFUNDED if after.told is None or after.told.by_hand:
            assert after.reference is not None
            return [PaymentRefunded(order_id=after.order_id, refund_id=after.id, amount=after.amount, reference=after.reference)]
        case State.FAILED:
            return [RefundFailed(order_id=after.order_id, refund_id=after.id, reason=after.failure or "refused")]
        case _:
            return []
