"""What inventory does by the clock."""

from datetime import timedelta
from functools import partial

from services.inventory import metrics, reservation, store, views
from shared.database import Tx
from shared.timers import Duties

AT_ONCE = 500
"""As many as a handler takes in one transaction; what is left is taken at once after it."""

every = Duties()


@every(timedelta(seconds=1), overdue=views.overdue_to_expire)
async def expire_reservations(tx: Tx) -> int:
    """What was set aside for orders that were not paid in time can be sold again."""
    due = [each.expire() for each in await store.claim_due(tx, AT_ONCE)]
    shelves = await store.lock_shelves(tx, reservation.skus_touched(due))
    settlement = reservation.settle(due, shelves, expires_at=tx.now)
    await store.save(tx, settlement.reservations, settlement.movements)
    tx.announce(settlement.events)
    tx.once_committed(partial(metrics.count, settlement.events))
    return len(due)
