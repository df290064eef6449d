"""What logistics asks partners for, and what it does by the clock."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from services.logistics import notify as messages
from services.logistics import progress, shipping, sms, store, views
from services.logistics.carriers import carriers
from services.logistics.shipping import Answer, Booked, Errand, Kind, Moot, StillAtIt, Unknown
from shared.database import Tx
from shared.intents import Job
from shared.timers import Duties

BACKOFF = [timedelta(seconds=seconds) for seconds in (1, 2, 5, 15, 60)]
"""A partner that hangs is back within seconds; one that is down for hours is asked once a minute."""

WEBHOOKS_KEPT = timedelta(days=30)
"""Longer than any partner goes on sending a notification that we did not take."""

LABELS_KEPT = timedelta(days=30)
"""DHL takes a parcel within ten days of its label. A label shows whom it is for: it is not kept longer than it is needed."""

LATELY = timedelta(hours=1)
"""Within it nearly every booking is answered, and its waybill known. Scans that wait for longer may be very many: whoever has
other parcels with the same carrier is told of those too."""

UNKNOWN_SCANS_KEPT = timedelta(days=30)
"""Longer than a booking goes on that was not answered: a person sees that within hours."""

log = structlog.get_logger()

every = Duties()


async def _ask_for_waybill(errand: Errand) -> Answer:
    shipment = errand.shipment
    carrier = carriers().get(shipment.carrier or "")
    if carrier is None:  # taken out of the settings; it may come back
        return Unknown()
    if shipment.waybill:
        return Moot()
    if shipment.cancelled_at:  # somebody may have booked it before that: only that is to be known now
        return await carrier.find(shipment)
    return await carrier.book(shipment, again=errand.attempts > 1)


async def _ask_for_withdrawal(errand: Errand) -> Answer:
    carrier = carriers().get(errand.shipment.carrier or "")
    if not errand.shipment.owes_withdrawal:
        return Moot()
    return await carrier.withdraw(errand.shipment) if carrier else Unknown()


async def _tell_shopper(errand: Errand) -> Answer:
    shipment, again = errand.shipment, errand.attempts > 1
    if shipment.told_at or not (shipment.phone and shipment.waybill):
        return Moot()
    if again and (found := await sms.find(shipment.phone, shipment.waybill)):
        return found
    return Moot() if shipment.cancelled_at else await sms.send(shipment.phone, messages.message(shipment))


async def _record(kind: Kind, tx: Tx, answered: Sequence[tuple[Errand, Answer]]) -> None:
    """Add the answers to what is known, and say when those who did not answer are asked again."""
    before = await store.lock(tx, {errand.shipment.order_id for errand, _ in answered})
    after = dict(before)
    whose = await store.orders_of(tx, {answer.waybill for _, answer in answered if isinstance(answer, Booked)})
    for errand, answer in answered:
        id = errand.shipment.order_id
        if isinstance(answer, Booked) and whose.setdefault((after[id].carrier, answer.waybill), id) != id:
            log.error("a carrier gave a waybill that another shipment has", carrier=after[id].carrier, waybill=answer.waybill)
            answer = shipping.ANOTHERS_WAYBILL
        after[id] = shipping.learn(after[id], answer, tx.now)
    await progress.settle(tx, before, after)
    labels = {
        errand.shipment.shipment_id: answer.label
        for errand, answer in answered
        if isinstance(answer, Booked) and answer.label and after[errand.shipment.order_id].waybill == answer.waybill
    }
    if labels:
        await store.keep_labels(tx, labels)
    await store.reschedule(tx, kind, [(errand, _next_try(tx, errand, answer)) for errand, answer in answered])


def _next_try(tx: Tx, errand: Errand, answer: Answer) -> datetime | None:
    wait = BACKOFF[min(errand.attempts, len(BACKOFF)) - 1]
    match answer:
        case StillAtIt():
            return tx.now + max(wait, store.lease())
        case Unknown():
            return tx.now + wait
    return None


def _job(kind: Kind, call: Callable[[Errand], Awaitable[Answer]]) -> Job[Errand, Answer]:
    return Job(
        kind, lambda tx, limit: store.claim(tx, kind, limit), call, partial(_record, kind), overdue=partial(views.overdue, kind)
    )


book = _job(Kind.BOOK, _ask_for_waybill)
withdraw = _job(Kind.WITHDRAW, _ask_for_withdrawal)
notify = _job(Kind.NOTIFY, _tell_shopper)


@every(timedelta(seconds=1))
async def match_early_scans(tx: Tx) -> int:
    """Give scans that came before their waybill was known to the shipments they tell of."""
    return await _match(tx, tx.now - LATELY)


@every(timedelta(minutes=10))
async def match_very_early_scans(tx: Tx) -> int:
    """As match_early_scans, also those that have waited for long."""
    return await _match(tx, tx.now - UNKNOWN_SCANS_KEPT)


async def _match(tx: Tx, since: datetime) -> int:
    scans = await store.match_scans(tx, since, limit=500)
    if scans:
        await progress.track(tx, scans)
    return len(scans)


@every(timedelta(hours=1))
async def forget_unknown_scans(tx: Tx) -> int:
    """Drop the scans of numbers that have not become known."""
    return await store.forget_unknown_scans(tx, tx.now - UNKNOWN_SCANS_KEPT)


@every(timedelta(hours=1))
async def forget_old_webhooks(tx: Tx) -> int:
    """Drop the ids of webhooks that nobody sends any more."""
    return await store.forget_webhooks(tx, tx.now - WEBHOOKS_KEPT)


@every(timedelta(hours=1))
async def forget_old_labels(tx: Tx) -> int:
    """Drop the labels that nobody prints any more."""
    return await store.forget_labels(tx, tx.now - LABELS_KEPT)
