"""Shelves, orders, and a warehouse that settles them without a database."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from services.inventory import reservation
from services.inventory.reservation import Fact, Reservation, Settlement
from services.inventory.shelf import Kind, Movement, Shelf, Shelves
from shared.events import Event
from shared.events.fields import Line, OrderedLine
from shared.events.orders import OrderCancelled, OrderPaid, OrderPlaced, OrderReleased
from shared.events.shipments import ShipmentCancelled
from tests.builders import a_paid_order, a_placed_order

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
EXPIRES_AT = NOW + timedelta(minutes=15)


def shelves(*pieces: tuple[str, str, int], threshold: int = 0) -> Shelves:
    """From (SKU, location, pieces on hand)."""
    return Shelves.of((sku, threshold, Shelf(location, on_hand, 0)) for sku, location, on_hand in sorted(pieces))


def wanted(*lines: tuple[str, int]) -> tuple[OrderedLine, ...]:
    return tuple(OrderedLine(sku=sku, quantity=quantity) for sku, quantity in lines)


def _lines(lines: Sequence[tuple[str, int]]) -> tuple[Line, ...]:
    return tuple(Line(sku=sku, quantity=quantity, unit_price=100) for sku, quantity in lines)


def placed(*lines: tuple[str, int], order_id: str = "T-1", collected_by: str | None = None) -> OrderPlaced:
    return a_placed_order(order_id, lines=_lines(lines), collected_by=collected_by)


def paid(*lines: tuple[str, int], order_id: str = "T-1") -> OrderPaid:
    return a_paid_order(order_id, lines=_lines(lines))


def cancelled(order_id: str = "T-1") -> OrderCancelled:
    return OrderCancelled(order_id=order_id, reason="the shopper asked")


def stays(order_id: str = "T-1") -> ShipmentCancelled:
    """Logistics: there will be no parcel."""
    return ShipmentCancelled(order_id=order_id, shipment_id="s")


def released(order_id: str = "T-1") -> OrderReleased:
    return OrderReleased(order_id=order_id, released_by="an operator")


class Warehouse:
    """Settles facts as the service does, and keeps everything that came of them."""

    def __init__(self, stock: Shelves) -> None:
        self.at_first = stock
        self.shelves = stock
        self.reservations: dict[str, Reservation] = {}
        self.ledger: list[Movement] = []
        self.said: list[Event] = []

    def tell(self, *facts: Fact) -> "Warehouse":
        """A batch of facts, decided together."""
        known = {fact.order_id: self.of(fact.order_id) for fact in facts}
        return self._settle(reservation.learn(known, facts))

    def expire(self, order_id: str = "T-1") -> "Warehouse":
        """The clock's work: what is not due stays."""
        if self.of(order_id).expires_at is None:
            return self
        return self._settle([self.of(order_id).expire()])

    def deliver(self, sku: str, quantity: int, location: str = "main") -> "Warehouse":
        """A lorry has come."""
        movement = Movement(sku, location, Kind.ADJUSTED, quantity, reason="delivered")
        return self._keep(Settlement([], [movement], []))

    def of(self, order_id: str = "T-1") -> Reservation:
        return self.reservations.get(order_id, Reservation(order_id))

    def _settle(self, learned: Sequence[Reservation]) -> "Warehouse":
        assert reservation.skus_touched(learned) >= {
            movement.sku for movement in reservation.settle(learned, self.shelves, EXPIRES_AT).movements
        }
        return self._keep(reservation.settle(learned, self.shelves, EXPIRES_AT))

    def _keep(self, settlement: Settlement) -> "Warehouse":
        self.reservations |= {each.order_id: each for each in settlement.reservations}
        self.shelves = self.shelves.after(settlement.movements)
        self.ledger += settlement.movements
        self.said += settlement.events
        return self

    def on_shelf(self, sku: str, location: str = "main") -> tuple[int, int]:
        """Pieces on hand, and those of them that are set aside."""
        shelf = self.shelves[sku].at(location)
        return shelf.on_hand, shelf.reserved

    def types_said(self) -> list[str]:
        return [event.type for event in self.said]
