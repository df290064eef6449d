"""What orders does by the clock."""

from datetime import timedelta

from services.orders import lifecycle, progress, store, views
from services.orders.settings import settings
from shared.database import Tx
from shared.timers import Duties

every = Duties()


@every(timedelta(seconds=1), overdue=views.overdue_to_complete)
async def complete_delivered(tx: Tx) -> int:
    """Complete the orders whose return window is over."""
    delivered = await store.claim_complete(tx, limit=500)
    completed = [lifecycle.complete(order, tx.now) for order in delivered]
    await store.save(tx, completed, timedelta(seconds=settings().orders_return_window))
    progress.announce(tx, list(zip(delivered, completed, strict=True)))
    return len(completed)
