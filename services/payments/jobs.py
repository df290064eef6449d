"""What payments does by claiming intents, and by the clock."""

from collections.abc import Sequence
from datetime import timedelta

from services.payments import channels, charging, progress, refunds, store, views
from services.payments.charging import NOT_ASKED_AGAIN, Payment
from services.payments.facts import Answer, Unknown
from services.payments.refunds import Owed
from shared.database import Tx
from shared.intents import Job
from shared.partners import PartnerUnknown
from shared.timers import Duties

every = Duties()

WEBHOOKS_KEPT = timedelta(days=30)
"""Stripe sends a webhook again for three days; an old one is refused by its signature's time anyhow."""


async def _claim_charges(tx: Tx, limit: int) -> list[Payment]:
    """Payments to ask about. After an outage, what the provider may have forgotten is left to a person instead."""
    claimed = await store.claim_charges(tx, limit)
    forgotten = [payment for payment in claimed if charging.may_be_forgotten(payment, tx.now)]
    if forgotten:
        await _record_answers(tx, [(payment, Unknown(NOT_ASKED_AGAIN)) for payment in forgotten])
    return [payment for payment in claimed if payment not in forgotten]


async def _ask_provider(payment: Payment) -> Answer:
    """Do the payment's next errand. No answer is an answer: nothing is known, and it is asked again."""
    assert payment.errand is not None, "only payments with an errand are claimed"
    try:
        return await channels.of(payment.terms).carry_out(payment.errand, payment)
    except PartnerUnknown as unknown:
        return Unknown(str(unknown))


async def _record_answers(tx: Tx, answers: Sequence[tuple[Payment, Answer]]) -> None:
    asked = {payment.order_id: payment.errand for payment, _ in answers if payment.errand}
    await progress.learn(tx, [(payment.order_id, answer) for payment, answer in answers], asked)


async def _claim_refunds(tx: Tx, limit: int) -> list[Owed]:
    """Refunds to ask for. After an outage, what the provider may have forgotten is left to a person instead."""
    claimed = await store.claim_refunds(tx, limit)
    forgotten = [owed for owed in claimed if refunds.may_be_forgotten(owed.refund, tx.now)]
    if forgotten:
        await _record_refunds(tx, [(owed, refunds.Unknown(NOT_ASKED_AGAIN)) for owed in forgotten])
    return [owed for owed in claimed if owed not in forgotten]


async def _send_back(owed: Owed) -> refunds.Answer:
    try:
        return await channels.of(owed.payment.terms).refund(owed.payment, owed.refund)
    except PartnerUnknown as unknown:
        return refunds.Unknown(str(unknown))


async def _record_refunds(tx: Tx, answers: Sequence[tuple[Owed, refunds.Answer]]) -> None:
    await progress.learn_answers(tx, [(owed.refund.key, answer) for owed, answer in answers])


charge: Job[Payment, Answer] = Job("charge", _claim_charges, _ask_provider, _record_answers, overdue=views.overdue_charges)
refund: Job[Owed, refunds.Answer] = Job("refund", _claim_refunds, _send_back, _record_refunds, overdue=views.overdue_refunds)


@every(timedelta(hours=1))
async def forget_old_webhooks(tx: Tx) -> int:
    """Drop what is remembered of old webhooks."""
    return await store.forget_webhooks(tx, tx.now - WEBHOOKS_KEPT)
