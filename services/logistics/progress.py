"""A shipment goes on: what can be done here and now is done, what a partner must be asked for is written down, and what
has become true is announced. Handlers, jobs and webhooks all end here."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from services.logistics import metrics, shipping, sms, store, tracking
from services.logistics.carriers import carriers
from services.logistics.shipping import Shipment, Told
from services.logistics.tracking import Scan
from shared.database import Tx
from shared.records import replace


async def settle(tx: Tx, before: Mapping[str, Shipment], after: Mapping[str, Shipment]) -> None:
    """Keep what has changed of these orders' shipments, which are locked, and do what follows."""
    changed = {id: shipment for id, shipment in after.items() if shipment is not before[id]}
    if not changed:
        return
    changed = {id: await _at_once(shipment, tx.now) for id, shipment in (await _numbered(tx, changed)).items()}
    await store.save(tx, changed.values())
    errands = [(shipment, kind) for id, shipment in changed.items() for kind in shipping.newly_owed(before[id], shipment)]
    if errands:
        await store.send(tx, errands)
        for _, kind in errands:
            tx.wake(kind)
    for id, shipment in changed.items():
        tx.announce(shipping.follows(before[id], shipment))
    tx.once_committed(partial(metrics.count, tx, before, changed))


async def track(tx: Tx, scans: Sequence[Scan]) -> None:
    """Add scans to the shipments they tell of; those of numbers that are not known yet change nothing."""
    before = await store.lock_scanned(tx, {scan.waybill for scan in scans})
    by_waybill = defaultdict(list)
    for scan in scans:
        by_waybill[scan.waybill].append(scan)
    after = {id: tracking.scanned(shipment, by_waybill[shipment.waybill or ""]) for id, shipment in before.items()}
    await settle(tx, before, after)


async def _numbered(tx: Tx, shipments: Mapping[str, Shipment]) -> dict[str, Shipment]:
    """Those that our own fleet takes get a number of its range each, all by one statement."""
    without = [id for id, shipment in shipments.items() if shipment.needs_waybill and not shipment.serial and _is_ours(shipment)]
    serials = dict(zip(without, await store.allot_serials(tx, len(without)), strict=True)) if without else {}
    return {id: replace(each, serial=serials[id]) if id in serials else each for id, each in shipments.items()}


async def _at_once(shipment: Shipment, now: datetime) -> Shipment:
    """What needs no partner: our own fleet's waybills, and telling the shopper by the event itself."""
    if _is_ours(shipment):
        fleet = carriers()[shipment.carrier or ""]
        if shipment.needs_waybill:
            shipment = shipping.learn(shipment, await fleet.book(shipment, again=False), now)
        if shipment.owes_withdrawal:
            shipment = shipping.learn(shipment, await fleet.withdraw(shipment), now)
    if shipment.needs_telling and not (shipment.phone and sms.is_offered()):
        shipment = shipping.learn(shipment, Told("app"), now)
    return shipment


def _is_ours(shipment: Shipment) -> bool:
    carrier = carriers().get(shipment.carrier or "")
    return carrier is not None and carrier.is_ours
