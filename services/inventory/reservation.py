"""Reservations: what is known of an order's stock, and what follows from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from services.inventory.allocation import Shortage, allocate
from services.inventory.shelf import Kind, Movement, Shelves, low
from shared.events import Event
from shared.events.fields import Allocation, OrderedLine
from shared.events.orders import OrderCancelled, OrderPaid, OrderPlaced, OrderReleased
from shared.events.shipments import ShipmentCancelled
from shared.events.stock import StockDeducted, StockRejected, StockReleased, StockReserved
from shared.records import replace

Fact = OrderPlaced | OrderPaid | OrderCancelled | OrderReleased | ShipmentCancelled


class State(StrEnum):
    """What the facts add up to."""

    AWAITED = "awaited"
    RESERVED = "reserved"
    COMMITTED = "committed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Reservation:
    """What is known of one order, and the stock that it holds. Its facts accumulate in any sequence.

    `collected`: the shop that sold it has the money. `stays`: logistics has said that there will be no parcel.
    `allocations`: the pieces set aside, or deducted, and not given back.
    """

    order_id: str
    lines: tuple[OrderedLine, ...] = ()
    collected: bool = False
    paid: bool = False
    cancelled: bool = False
    stays: bool = False
    expired: bool = False
    allocations: tuple[Allocation, ...] = ()
    deducted: bool = False
    shortage: Shortage | None = None
    expires_at: datetime | None = None

    @property
    def state(self) -> State:
        """Exactly one, whatever the sequence in which the facts came. Pieces of a cancelled order that may be in a parcel
        are off the books."""
        if self.cancelled and not self.allocations:
            return State.CANCELLED
        if not self.lines:
            return State.AWAITED
        if self.shortage:
            return State.REJECTED
        if self.expired:
            return State.EXPIRED
        return State.COMMITTED if self.deducted else State.RESERVED

    @property
    def is_paid_for(self) -> bool:
        """Somebody has the shopper's money."""
        return self.paid or self.collected

    @property
    def wants_stock(self) -> bool:
        """Its lines are known and nothing has been answered yet."""
        answered = self.allocations or self.shortage or self.expired or self.cancelled
        return bool(self.lines) and not answered

    @property
    def gives_back(self) -> bool:
        """It holds pieces that it may no longer have. Those that left the books may have left the house."""
        return bool(self.allocations) and (self.expired or (self.cancelled and (self.stays or not self.deducted)))

    @property
    def may_be_deducted(self) -> bool:
        """It is paid, and its pieces are still on the books."""
        return bool(self.allocations) and self.is_paid_for and not self.deducted

    def learn(self, fact: Fact) -> Self:
        """The order with one more fact. A payment, or a person's release, is worth another try for stock."""
        match fact:
            case OrderPlaced():
                collected = self.collected or fact.collected_by is not None
                return replace(self, lines=self.lines or _wanted(fact), collected=collected)
            case OrderPaid() if self.paid or self.cancelled:
                return replace(self, lines=self.lines or _wanted(fact), paid=True)
            case OrderPaid():
                return replace(self, lines=self.lines or _wanted(fact), paid=True, shortage=None, expired=False)
            case OrderReleased():
                return replace(self, shortage=None)
            case OrderCancelled():
                return replace(self, cancelled=True, shortage=None, expired=False, expires_at=None)
            case ShipmentCancelled():
                return replace(self, stays=True)

    def expire(self) -> Self:
        """Its time ran out before it was paid."""
        return replace(self, expired=True, expires_at=None)


def _wanted(order: OrderPlaced | OrderPaid) -> tuple[OrderedLine, ...]:
    return tuple(OrderedLine(sku=line.sku, quantity=line.quantity) for line in order.lines)


def learn(known: Mapping[str, Reservation], facts: Iterable[Fact]) -> list[Reservation]:
    """The orders with their new facts, in the sequence in which they are first told of."""
    learned: dict[str, Reservation] = {}
    for fact in facts:
        learned[fact.order_id] = learned.get(fact.order_id, known[fact.order_id]).learn(fact)
    return list(learned.values())


def skus_touched(reservations: Iterable[Reservation]) -> set[str]:
    """The products whose shelves are needed to settle these orders."""
    touched: set[str] = set()
    for each in reservations:
        if each.wants_stock:
            touched.update(line.sku for line in each.lines)
        elif each.gives_back or each.may_be_deducted:
            touched.update(allocation.sku for allocation in each.allocations)
    return touched


@dataclass(frozen=True, slots=True)
class Settlement:
    """Orders whose stock agrees with what is known of them, the movements that made it so, and what is to be said."""

    reservations: Sequence[Reservation]
    movements: Sequence[Movement] = ()
    events: Sequence[Event] = ()


def settle(reservations: Iterable[Reservation], shelves: Shelves, expires_at: datetime) -> Settlement:
    """Take, deduct or give back what each order's facts call for, first come first served, whole orders only."""
    settled: list[Reservation] = []
    movements: list[Movement] = []
    events: list[Event] = []
    stock = dict(shelves)
    left = Shelves(stock)  # sees each movement as soon as it is made
    for reservation in reservations:
        one = _settle(reservation, left, expires_at)
        for movement in one.movements:
            stock[movement.sku] = stock[movement.sku].after(movement)
        settled += one.reservations
        movements += one.movements
        events += one.events
    return Settlement(settled, movements, [*events, *low(shelves, left)])


def _settle(known: Reservation, shelves: Shelves, expires_at: datetime) -> Settlement:
    if known.gives_back:
        return _give_back(known)
    if known.wants_stock:
        return _take(known, shelves, expires_at)
    if known.may_be_deducted:
        return _deduct(known)
    return Settlement([known])


def _take(known: Reservation, shelves: Shelves, expires_at: datetime) -> Settlement:
    match allocate(known.lines, shelves):
        case Shortage() as shortage:
            rejected = StockRejected(
                order_id=known.order_id, reason=shortage.reason, missing=shortage.missing, paid=known.is_paid_for
            )
            return Settlement([replace(known, shortage=shortage)], events=[rejected])
        case allocations:
            until = None if known.is_paid_for else expires_at
            holding = replace(known, allocations=allocations, expires_at=until)
            movements = _movements(holding, Kind.RESERVED, reserved=+1)
            reserved = StockReserved(order_id=known.order_id, allocations=allocations, expires_at=until)
            if not holding.may_be_deducted:
                return Settlement([holding], movements, [reserved])
            then = _deduct(holding)
            return Settlement(then.reservations, [*movements, *then.movements], [reserved, *then.events])


def _deduct(known: Reservation) -> Settlement:
    movements = _movements(known, Kind.DEDUCTED, on_hand=-1, reserved=-1)
    deducted = StockDeducted(order_id=known.order_id, allocations=known.allocations)
    return Settlement([replace(known, deducted=True, expires_at=None)], movements, [deducted])


def _give_back(known: Reservation) -> Settlement:
    movements = _restocked(known) if known.deducted else _movements(known, Kind.RELEASED, reserved=-1)
    released = StockReleased(order_id=known.order_id, reason="cancelled" if known.cancelled else "expired")
    return Settlement([replace(known, allocations=(), deducted=False)], movements, [released])


def _restocked(known: Reservation) -> list[Movement]:
    """Paid for, but there will be no parcel: its pieces go back on the shelf."""
    return _movements(known, Kind.RESTOCKED, on_hand=+1)


def _movements(known: Reservation, kind: Kind, on_hand: int = 0, reserved: int = 0) -> list[Movement]:
    return [
        Movement(each.sku, each.location, kind, on_hand * each.quantity, reserved * each.quantity, known.order_id)
        for each in known.allocations
    ]
