"""An order goes on: what has just become true is announced, and counted. Handlers, routes and duties all end here."""

from collections.abc import Sequence
from functools import partial

from services.orders import lifecycle, metrics
from services.orders.order import Order
from shared.database import Tx


def announce(tx: Tx, changes: Sequence[tuple[Order, Order]]) -> None:
    """Say what follows from each order's change, from what it was to what it is."""
    for before, after in changes:
        tx.announce(lifecycle.follows(before, after))
    tx.once_committed(partial(metrics.count, tx, changes))
