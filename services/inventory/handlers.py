"""What happens in inventory on each event.

Locks are always taken in the same sequence, so that replicas wait for each other and never deadlock: first orders by
their id, then shelves by SKU and location.
"""

from collections.abc import Sequence
from functools import partial

from services.inventory import metrics, reservation, store
from services.inventory.reservation import Fact
from services.inventory.settings import settings
from shared.database import Tx
from shared.events.orders import OrderCancelled, OrderPaid, OrderPlaced, OrderReleased
from shared.events.shipments import ShipmentCancelled
from shared.subscriptions import Subscriptions

on = Subscriptions()


@on(OrderPlaced, ours=True)
async def reserve_stock(orders: list[OrderPlaced], tx: Tx) -> None:
    """Set stock aside for each order, whole orders only, oldest first."""
    await _learn(tx, orders)


@on(OrderPaid, ours=True)
async def commit_stock(payments: list[OrderPaid], tx: Tx) -> None:
    """Take the pieces off the books; where they are not set aside any more, or not yet, take them from the shelf."""
    await _learn(tx, payments)


@on(OrderCancelled, ours=True)
async def release_stock(cancellations: list[OrderCancelled], tx: Tx) -> None:
    """What an order held can be sold again, but for what may be in a parcel; one that is placed later gets nothing."""
    await _learn(tx, cancellations)


@on(ShipmentCancelled, ours=True)
async def restock_unshipped(parcels: list[ShipmentCancelled], tx: Tx) -> None:
    """There will be no parcel: the pieces of the cancelled order that were taken off the books are here."""
    await _learn(tx, parcels)


@on(OrderReleased, ours=True)
async def try_again(releases: list[OrderReleased], tx: Tx) -> None:
    """Where stock was what stopped the order, look once more whether it is there."""
    await _learn(tx, releases)


async def _learn(tx: Tx, facts: Sequence[Fact]) -> None:
    oldest_first = sorted(facts, key=lambda fact: (fact.envelope.time, fact.order_id))
    order_ids = sorted({fact.order_id for fact in facts})
    await store.await_orders(tx, order_ids)
    known = await store.lock_reservations(tx, order_ids)
    learned = reservation.learn(known, oldest_first)
    shelves = await store.lock_shelves(tx, reservation.skus_touched(learned))
    settlement = reservation.settle(learned, shelves, expires_at=tx.now + settings().reservation_ttl)
    await store.save_reservations(tx, [each for each in settlement.reservations if each != known[each.order_id]])
    await store.move(tx, settlement.movements)
    tx.announce(settlement.events)
    tx.once_committed(partial(metrics.count, settlement.events))
