"""Stands in for services/orders/store.py."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.orders import lifecycle
from services.orders.order import Order
from shared.database import Tx
from shared.events.products import Product
from shared.money import Money
from tests.simulation.memory.tables import Tables, require


@dataclass
class OrdersTables(Tables):
    """Orders by id, when each is to be completed, and the price list."""

    orders: dict[str, Order] = field(default_factory=dict)
    complete_at: dict[str, datetime] = field(default_factory=dict)
    prices: dict[str, Money] = field(default_factory=dict)

    def next_due(self) -> list[datetime]:
        return list(self.complete_at.values())


def _of(tx: Tx) -> OrdersTables:
    tables: OrdersTables = tx.tables  # type: ignore[attr-defined]
    return tables


async def insert(tx: Tx, orders: Sequence[Order]) -> set[str]:
    known = _of(tx).orders
    new = {order.id: order for order in orders if order.id not in known}
    for order in new.values():
        _check(order)
    known |= new
    return set(new)


async def lock(tx: Tx, ids: Collection[str]) -> dict[str, Order]:
    known = _of(tx).orders
    wanted = sorted(set(ids))
    for id in wanted:
        if id not in known:
            known[id] = Order(id=id)
    return {id: known[id] for id in wanted}


async def lock_one(tx: Tx, id: str) -> Order | None:
    order = _of(tx).orders.get(id)
    return order if order and order.placed else None


async def fill_in(tx: Tx, orders: Sequence[Order]) -> None:
    for order in orders:
        known = _of(tx).orders[order.id]
        _of(tx).orders[order.id] = known.but(placed=order.placed, placed_at=order.placed_at)


async def save(tx: Tx, orders: Iterable[Order], return_window: timedelta) -> None:
    tables = _of(tx)
    for order in orders:
        _check(order)
        tables.orders[order.id] = order
        if at := lifecycle.completes_at(order, return_window):
            tables.complete_at[order.id] = at
        else:
            tables.complete_at.pop(order.id, None)


async def claim_complete(tx: Tx, limit: int) -> list[Order]:
    tables = _of(tx)
    return [tables.orders[id] for id in sorted(id for id, at in tables.complete_at.items() if at <= tx.now)][:limit]


async def prices(tx: Tx, skus: Collection[str]) -> dict[str, Money]:
    known = _of(tx).prices
    return {sku: known[sku] for sku in sorted(skus) if sku in known}


async def learn_prices(tx: Tx, products: Sequence[Product], *, on_sale: bool) -> None:
    for product in products:
        _of(tx).prices[product.sku] = product.price


def _check(order: Order) -> None:
    require(0 <= order.refunded <= order.captured, "refunded_never_exceeds_captured", order)
