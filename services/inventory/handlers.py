"""What happens in inventory on each event.

Locks are taken in the same sequence, so that replicas wait for each other and do not deadlock: first orders by their id,
then shelves by SKU and location. The one exception is told of in store.lock_reservations.
"""

from functools import partial

from services.inventory import metrics, reservation, store
from services.inventory.reservation import Fact
from services.inventory.settings import settings
from shared.database import Tx
from shared.events.orders import OrderCancelled, OrderPaid, OrderPlaced, OrderReleased
from shared.events.shipments import ShipmentCancelled
from shared.subscriptions import Subscriptions

on = Subscriptions()


@on.any_of(
    OrderPlaced,  # its pieces are set aside, all of them or none
    OrderPaid,  # they leave the books; what is not set aside any more, or not yet, is taken from the shelf
    OrderCancelled,  # what it held can be sold again, but for what may be in a parcel; placed later, it gets nothing
    ShipmentCancelled,  # there will be no parcel: what a cancelled order took off the books is here
    OrderReleased,  # where stock was what stopped it, there may be some now
    ours=True,
)
async def learn_facts(facts: list[Fact], tx: Tx) -> None:
    """Add what others say to their orders, oldest first, and do what it calls for: set stock aside, take it off the books,
    or give it back."""
    oldest_first = sorted(facts, key=lambda fact: (fact.envelope.time, fact.order_id))
    known = await store.lock_reservations(tx, {fact.order_id for fact in facts})
    learned = reservation.learn(known, oldest_first)
    shelves = await store.lock_shelves(tx, reservation.skus_touched(learned))
    settlement = reservation.settle(learned, shelves, expires_at=tx.now + settings().reservation_ttl)
    changed = [each for each in settlement.reservations if each != known[each.order_id]]
    await store.save(tx, changed, settlement.movements)
    tx.announce(settlement.events)
    tx.once_committed(partial(metrics.count, settlement.events))
