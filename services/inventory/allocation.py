"""Allocation: from which locations an order is served, whole or not at all."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from services.inventory.shelf import Shelves
from shared.events.fields import Allocation, OrderedLine


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why an order cannot be served: the lines that fall short, with the pieces that are not there."""

    reason: Literal["out_of_stock", "unknown_sku"]
    missing: tuple[OrderedLine, ...]


def allocate(lines: Sequence[OrderedLine], shelves: Shelves) -> tuple[Allocation, ...] | Shortage:
    """One parcel where one location holds the whole order, otherwise from several locations in the order of their names."""
    if missing := _missing(lines, shelves):
        unknown = any(line.sku not in shelves for line in missing)
        return Shortage("unknown_sku" if unknown else "out_of_stock", missing)
    location = _that_holds_all(lines, shelves)
    if location is not None:
        return tuple(Allocation(sku=line.sku, location=location, quantity=line.quantity) for line in lines)
    return _split(lines, shelves)


def _missing(lines: Sequence[OrderedLine], shelves: Shelves) -> tuple[OrderedLine, ...]:
    left = {line.sku: shelves[line.sku].available if line.sku in shelves else 0 for line in lines}
    missing = []
    for line in lines:
        taken = min(line.quantity, left[line.sku])
        left[line.sku] -= taken
        if taken < line.quantity:
            missing.append(OrderedLine(sku=line.sku, quantity=line.quantity - taken))
    return tuple(missing)


def _that_holds_all(lines: Sequence[OrderedLine], shelves: Shelves) -> str | None:
    wanted: Counter[str] = Counter()
    for line in lines:
        wanted[line.sku] += line.quantity
    places = (
        {shelf.location for shelf in shelves[sku].shelves if shelf.available >= quantity} for sku, quantity in wanted.items()
    )
    return min(set.intersection(*places), default=None)


def _split(lines: Sequence[OrderedLine], shelves: Shelves) -> tuple[Allocation, ...]:
    left = {sku: {shelf.location: shelf.available for shelf in shelves[sku].shelves} for sku in {line.sku for line in lines}}
    allocations = []
    for line in lines:
        wanted = line.quantity
        for location, available in sorted(left[line.sku].items()):
            if taken := min(wanted, available):
                allocations.append(Allocation(sku=line.sku, location=location, quantity=taken))
                left[line.sku][location] -= taken
                wanted -= taken
    return tuple(allocations)
