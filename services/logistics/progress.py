"""A shipment goes on: what can be done here and now is done, what a partner must be asked for is written down, and what
has become true is announced. Handlers, jobs and webhooks all end here."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial

from services.logistics import metrics, shipping, sms, store, tracking
from services.logistics.carriers import carriers
from services.logistics.shipping import Shipment, Told
from services.logistics.tracking import Scan
from shared.database import Tx
from shared.records import replace


async def settle(tx: Tx, before: Mapping[str, Shipment], after: Mapping[str, Shipment], new: Collection[str] = ()) -> set[str]:
    """Keep what has changed of these orders' shipments, which are locked or `new`, and do what follows. Those of the new whose
    shipment somebody else has made at this moment are left out, and returned."""
    changed = {id: shipment for id, shipment in after.items() if shipment is not before[id]}
    changed = {id: await _at_once(shipment, tx.now) for id, shipment in (await _numbered(tx, changed)).items()}
    if made := [shipment for id, shipment in changed.items() if id in new]:
        kept = await store.insert(tx, made)
        changed = {id: shipment for id, shipment in changed.items() if id in kept or id not in new}
    if known := [shipment for id, shipment in changed.items() if id not in new]:
        await store.save(tx, known)
    errands = [(shipment, kind) for id, shipment in changed.items() for kind in shipping.newly_owed(before[id], shipment)]
    if errands:
        await store.send(tx, errands)
        for _, kind in errands:
            tx.wake(kind)
    for id, shipment in changed.items():
        tx.announce(shipping.follows(before[id], shipment))
    if changed:
        tx.once_committed(partial(metrics.count, tx, before, changed))
    return {shipment.order_id for shipment in made} - changed.keys()


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
