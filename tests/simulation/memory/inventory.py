"""Stands in for services/inventory/store.py."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.inventory.reservation import Reservation, State
from services.inventory.shelf import Movement, Shelf, Shelves
from shared.database import Tx
from tests.simulation.memory.tables import Tables, require


@dataclass
class InventoryTables(Tables):
    """Reservations by order, shelves by SKU and location, and the ledger of pieces."""

    reservations: dict[str, Reservation] = field(default_factory=dict)
    shelves: dict[tuple[str, str], Shelf] = field(default_factory=dict)
    movements: dict[int, Movement] = field(default_factory=dict)

    def next_due(self) -> list[datetime]:
        return [each.expires_at for each in self.reservations.values() if each.expires_at]


def _of(tx: Tx) -> InventoryTables:
    tables: InventoryTables = tx.tables  # type: ignore[attr-defined]
    return tables


async def lock_reservations(tx: Tx, order_ids: Collection[str]) -> dict[str, Reservation]:
    known = _of(tx).reservations
    return {order_id: known.setdefault(order_id, Reservation(order_id)) for order_id in sorted(order_ids)}


async def claim_due(tx: Tx, limit: int) -> list[Reservation]:
    due = [(each.expires_at, each.order_id, each) for each in _of(tx).reservations.values() if each.expires_at]
    return [each for at, _, each in sorted(due, key=lambda one: one[:2]) if at <= tx.now][:limit]


async def lock_shelves(tx: Tx, skus: Collection[str]) -> Shelves:
    known = _of(tx).shelves
    return Shelves.of((sku, 0, known[sku, location]) for sku, location in sorted(known) if sku in skus)


async def save(tx: Tx, reservations: Sequence[Reservation] = (), movements: Sequence[Movement] = ()) -> None:
    tables = _of(tx)
    for each in reservations:
        _check(each)
        tables.reservations[each.order_id] = _as_stored(each)
    moved: dict[tuple[str, str], None] = {}
    for movement in movements:
        require(movement.on_hand_change != 0 or movement.reserved_change != 0, "movement_moves_something", movement)
        where = movement.sku, movement.location
        tables.movements[len(tables.movements)] = movement
        tables.shelves[where] = tables.shelves[where].after(movement)
        moved[where] = None
    for where in moved:
        shelf = tables.shelves[where]
        require(0 <= shelf.reserved <= shelf.on_hand, "shelf_never_below_zero", shelf)


def _as_stored(each: Reservation) -> Reservation:
    """Expired and deducted are kept as the state, of which there is one."""
    state = each.state
    return Reservation(
        order_id=each.order_id,
        lines=each.lines,
        collected=each.collected,
        paid=each.paid,
        cancelled=each.cancelled,
        stays=each.stays,
        expired=state is State.EXPIRED,
        allocations=each.allocations,
        deducted=state is State.COMMITTED,
        shortage=each.shortage,
        expires_at=each.expires_at,
    )


def _check(each: Reservation) -> None:
    state = each.state
    require(bool(each.lines) or state in (State.AWAITED, State.CANCELLED), "reservation_knows_its_lines", each)
    require(state is not State.CANCELLED or each.cancelled, "cancelled_state_is_a_cancelled_order", each)
    require((state in (State.RESERVED, State.COMMITTED)) == bool(each.allocations), "held_stock_is_allocated", each)
    require((state is State.REJECTED) == (each.shortage is not None), "rejection_says_what_is_missing", each)
    require(state is not State.COMMITTED or each.is_paid_for, "committed_stock_is_paid", each)
    require(each.expires_at is None or state is State.RESERVED, "only_reserved_stock_expires", each)
    require(each.expires_at is None or not each.is_paid_for, "paid_stock_does_not_expire", each)
