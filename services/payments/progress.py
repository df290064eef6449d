"""What every way in does with what it has learned: load, decide, save, announce. Events, webhooks and the provider's
answers all end here, so that it makes no difference which came first."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence, Set
from functools import partial
from typing import TypeVar

from services.payments import channels, charging, ledger, metrics, refunds, store
from services.payments.charging import Errand, Payment
from services.payments.facts import Fact
from services.payments.refunds import Refund, RefundKey
from shared import telemetry
from shared.database import Tx
from shared.records import replace

Intent = TypeVar("Intent", Payment, Refund)
Refunds = Mapping[RefundKey, Refund]


async def learn(tx: Tx, news: Sequence[tuple[str, Fact]], asked: Mapping[str, Errand] | None = None) -> None:
    """Add facts to orders' payments. `asked`: what their provider has just been asked."""
    orders = {order_id for order_id, _ in news}
    known = await store.lock(tx, orders)
    new = orders - known.keys()
    before = known | {order_id: charging.unheard_of(order_id) for order_id in new}
    after = await _learned(tx, before, news, asked or {})
    known_by_now = new - await store.insert(tx, [after[order_id] for order_id in new]) if new else new
    after = {order_id: payment for order_id, payment in after.items() if order_id not in known_by_now}
    await _save(tx, before, [payment for order_id, payment in after.items() if payment != before[order_id]], new)
    if ended := {order_id: payment for order_id, payment in after.items() if payment.ending and not before[order_id].ending}:
        waiting = await store.lock_refunds(tx, ended)
        await _settle(tx, ended, waiting, waiting)
    if known_by_now:
        await learn(tx, [(order_id, fact) for order_id, fact in news if order_id in known_by_now], asked)


async def learn_refunds(tx: Tx, said: Sequence[Refund]) -> None:
    """Add what orders asked for, or what a shop says it gave back. Raises Contradiction."""
    payments = await _lock_all(tx, {refund.order_id for refund in said})
    before = await store.lock_refunds(tx, payments)
    after = dict(before)
    for refund in said:
        if refund.told and not refund.told.by_hand:
            refunds.check_source(payments[refund.order_id], refund.told.source)
        after[refund.key] = refunds.merge(after.get(refund.key), refund)
    await _settle(tx, payments, before, after)


async def learn_answers(tx: Tx, answers: Sequence[tuple[RefundKey, refunds.Answer]]) -> Set[RefundKey]:
    """Add what the provider said of refunds; those of them that are known."""
    payments = await store.lock(tx, {order_id for (order_id, _), _ in answers})
    before = await store.lock_refunds(tx, payments)
    known = {key: answer for key, answer in answers if key in before}
    meant = [(refunds.entered_as(before, key, answer), answer) for key, answer in known.items()]
    after = before | {key: refunds.answered(before[key], answer, tx.now) for key, answer in meant}
    await _settle(tx, payments, before, after)
    return known.keys()


async def _lock_all(tx: Tx, orders: Set[str]) -> dict[str, Payment]:
    """The orders' payments, locked; an order of which nothing was known has an empty one from now on."""
    known = await store.lock(tx, orders)
    if new := orders - known.keys():
        await store.insert(tx, [charging.unheard_of(order_id) for order_id in new])
        known |= await store.lock(tx, new)
    return known


async def _learned(
    tx: Tx, before: Mapping[str, Payment], news: Sequence[tuple[str, Fact]], asked: Mapping[str, Errand]
) -> dict[str, Payment]:
    """The payments with what is new, and with what is to be asked of their providers now."""
    after = dict(before)
    for order_id, fact in news:
        after[order_id] = charging.learn(after[order_id], fact, tx.now)
    for order_id, payment in after.items():
        planned = charging.plan(before[order_id], await _charged_at_once(tx, payment), tx.now, asked.get(order_id))
        after[order_id] = _traced(tx, planned) if planned != before[order_id] else before[order_id]
    return after


async def _charged_at_once(tx: Tx, payment: Payment) -> Payment:
    """A channel without a partner answers within the transaction."""
    if payment.errand is not Errand.CHARGE or not (channel := channels.of(payment.terms)).at_once:
        return payment
    return charging.learn(payment, await channel.carry_out(Errand.CHARGE, payment), tx.now)


async def _save(tx: Tx, before: Mapping[str, Payment], changed: Sequence[Payment], new: Collection[str]) -> None:
    """Keep these payments, but for the `new`, which are kept already, and announce what has become of all of them."""
    known = [payment for payment in changed if payment.order_id not in new]
    entries = [entry for payment in changed for entry in ledger.of_charge(before[payment.order_id], payment)]
    if known or entries:
        await store.save(tx, known, entries)
    tx.announce(event for payment in changed for event in charging.follows(before[payment.order_id], payment))
    tx.once_committed(partial(metrics.count_charges, before, changed))
    if any(payment.due_at is not None and payment.due_at <= tx.now for payment in changed):
        tx.wake("charge")


async def _settle(tx: Tx, payments: Mapping[str, Payment], before: Refunds, after: Refunds) -> None:
    """Take each refund as far as it can go, now that so much is known of it and of its payment."""
    of_order: defaultdict[str, list[Refund]] = defaultdict(list)
    for refund in after.values():
        of_order[refund.order_id].append(refund)
    settled = [
        await _sent_at_once(tx, payments[order_id], refund)
        for order_id, known in of_order.items()
        for refund in refunds.settle(payments[order_id], known, tx.now)
    ]
    await _save_given_back(tx, payments, settled)
    await _save_refunds(tx, payments, before, [refund for refund in settled if refund != before.get(refund.key)])


async def _sent_at_once(tx: Tx, payment: Payment, refund: Refund) -> Refund:
    if refund.state is not refunds.State.DUE or not (channel := channels.of(payment.terms)).at_once:
        return refund
    return refunds.answered(refund, await channel.refund(payment, refund), tx.now)


async def _save_given_back(tx: Tx, payments: Mapping[str, Payment], settled: Sequence[Refund]) -> None:
    """The sum of a payment's refunds is kept beside what was captured, where a constraint can compare them."""
    changed = [
        replace(payments[order_id], refunding=given_back)
        for order_id in sorted({refund.order_id for refund in settled})
        if (given_back := refunds.given_back(refund for refund in settled if refund.order_id == order_id))
        != payments[order_id].refunding
    ]
    if changed:
        await store.save(tx, changed)


async def _save_refunds(tx: Tx, payments: Mapping[str, Payment], before: Refunds, changed: Sequence[Refund]) -> None:
    if not changed:
        return
    kept = [_traced(tx, refund) for refund in changed]
    await store.save_refunds(tx, kept)
    if moved := [entry for r in kept for entry in ledger.of_refund(payments[r.order_id], before.get(r.key), r)]:
        await store.save(tx, entries=moved)
    if returned := [refund.key for refund in kept if refunds.has_come_back(before.get(refund.key), refund)]:
        await store.enter_returned(tx, returned)
    tx.announce(event for refund in kept for event in refunds.follows(before.get(refund.key), refund))
    tx.once_committed(partial(metrics.count_refunds, payments, before, kept))
    if any(refund.due_at is not None and refund.due_at <= tx.now for refund in kept):
        tx.wake("refund")


def _traced(tx: Tx, asked: Intent) -> Intent:
    """What is to be asked of a partner keeps what led to it, for the job to go on from. A webhook brings no trace of ours:
    what follows from it goes on from what was kept."""
    if heard := tx.cause(asked.order_id):
        asks_again = asked.cause is not None and asked.cause.id == heard.id
        return replace(asked, cause=telemetry.continued(heard)) if asked.due_at and not asks_again else asked
    if asked.cause:
        tx.caused_by([asked.cause])
    return asked
