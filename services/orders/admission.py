"""Taking new orders on, each id once: the first source to use an id owns it."""

from collections.abc import Sequence
from datetime import timedelta

from services.orders import lifecycle, progress, store
from services.orders.order import Order
from services.orders.settings import settings
from shared.database import Tx
from shared.events.orders import OrderPlaced, OrderRejected


async def admit(tx: Tx, orders: Sequence[Order]) -> None:
    """Keep the orders and announce what follows. One that repeats an order we have is ignored; one that uses the id
    of another order is rejected, and the first stands."""
    first: dict[str, Order] = {}
    for order in orders:
        taken_by = first.setdefault(order.id, order)
        if taken_by is not order:
            tx.announce(_refusals(taken_by, order))
    new = await store.insert(tx, list(first.values()))
    progress.announce(tx, [(Order(id=id), order) for id, order in first.items() if id in new])
    if len(new) < len(first):
        await _meet_known(tx, [order for id, order in first.items() if id not in new])


async def _meet_known(tx: Tx, orders: Sequence[Order]) -> None:
    known = await store.lock(tx, [order.id for order in orders])
    filled = {order.id: lifecycle.fill_in(known[order.id], order) for order in orders if known[order.id].placed is None}
    if filled:
        await store.fill_in(tx, list(filled.values()))
        await store.save(tx, filled.values(), timedelta(seconds=settings().orders_return_window))
    progress.announce(tx, [(known[id], order) for id, order in filled.items()])
    for order in orders:
        if order.id not in filled:
            tx.announce(_refusals(known[order.id], order))


def _refusals(known: Order, other: Order) -> list[OrderRejected]:
    """None when the other says the same order again; the first telling of it counts."""
    a, b = known.placed, other.placed
    assert a is not None
    assert b is not None
    if _told_by(a) == _told_by(b):
        return []
    detail = f"the id belongs to an order {_how(a)} {a.source}"
    return [OrderRejected(order_id=other.id, source=b.source, reason="order_id_taken", detail=detail)]


def _told_by(placed: OrderPlaced) -> tuple[str, str | None]:
    return placed.source, placed.collected_by


def _how(placed: OrderPlaced) -> str:
    return "paid at" if placed.collected_by else "submitted by"
