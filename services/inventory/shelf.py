"""Shelves: where pieces of a product lie, how many are set aside, and the movements that change that."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import Self

from shared.events.stock import StockAdjusted, StockLow
from shared.problems import Conflict, NotFound
from shared.records import replace

DEFAULT_LOCATION = "main"


class Kind(StrEnum):
    """Why pieces move."""

    RESERVED = "reserved"
    RELEASED = "released"
    DEDUCTED = "deducted"
    RESTOCKED = "restocked"
    ADJUSTED = "adjusted"


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry of the ledger: what changed on one shelf, and why."""

    sku: str
    location: str
    kind: Kind
    on_hand_change: int = 0
    reserved_change: int = 0
    order_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Shelf:
    """Pieces of one product in one place; those set aside for orders are still on hand."""

    location: str
    on_hand: int
    reserved: int

    @property
    def available(self) -> int:
        """What can still be sold from here."""
        return self.on_hand - self.reserved

    def after(self, movement: Movement) -> Self:
        """The shelf once the movement is done."""
        return replace(self, on_hand=self.on_hand + movement.on_hand_change, reserved=self.reserved + movement.reserved_change)


@dataclass(frozen=True)
class Stock:
    """All shelves of one product, by the name of their location."""

    sku: str
    threshold: int
    shelves: tuple[Shelf, ...]

    @property
    def available(self) -> int:
        """What can still be sold, over all locations."""
        return sum(shelf.available for shelf in self.shelves)

    @property
    def is_low(self) -> bool:
        """There is less to sell than there should be."""
        return self.available < self.threshold

    def at(self, location: str) -> Shelf:
        """The shelf there; an empty one where none stands."""
        return next((shelf for shelf in self.shelves if shelf.location == location), Shelf(location, 0, 0))

    def after(self, movement: Movement) -> Self:
        """The stock once the movement is done."""
        return replace(
            self,
            shelves=tuple(shelf.after(movement) if shelf.location == movement.location else shelf for shelf in self.shelves),
        )


@dataclass(frozen=True)
class Shelves(Mapping[str, Stock]):
    """The stock of several products by SKU. A SKU that is not in it is no product of ours."""

    by_sku: Mapping[str, Stock]

    @classmethod
    def of(cls, rows: Iterable[tuple[str, int, Shelf]]) -> Self:
        """From each shelf with the SKU that lies on it and that product's threshold, sorted by SKU and location."""
        of_products = groupby(rows, key=itemgetter(0, 1))
        return cls({sku: Stock(sku, least, tuple(shelf for _, _, shelf in each)) for (sku, least), each in of_products})

    def after(self, movements: Iterable[Movement]) -> Self:
        """The shelves once the movements are done."""
        changed: dict[str, Stock] = {}
        for movement in movements:
            changed[movement.sku] = changed.get(movement.sku, self.by_sku[movement.sku]).after(movement)
        return replace(self, by_sku={**self.by_sku, **changed}) if changed else self

    def with_threshold(self, sku: str, threshold: int) -> Self:
        """The shelves, with the product being low below another threshold."""
        return replace(self, by_sku={**self.by_sku, sku: replace(self.by_sku[sku], threshold=threshold)})

    def __getitem__(self, sku: str) -> Stock:
        return self.by_sku[sku]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_sku)

    def __len__(self) -> int:
        return len(self.by_sku)


def low(before: Shelves, after: Shelves) -> list[StockLow]:
    """The products that have just come to be below their threshold; one that was below already is not told again."""
    return [
        StockLow(sku=sku, available=stock.available, threshold=stock.threshold)
        for sku, stock in after.by_sku.items()
        if stock is not before.by_sku[sku] and stock.is_low and not before.by_sku[sku].is_low
    ]


class UnknownSku(NotFound):
    """No product has this SKU."""

    def __init__(self, sku: str) -> None:
        super().__init__(f"no product has the SKU {sku}", sku=sku)


class BelowReserved(Conflict):
    """The pieces are promised to orders, or not there at all."""

    def __init__(self, sku: str, shelf: Shelf, quantity: int) -> None:
        super().__init__(
            f"{shelf.location} has {shelf.on_hand} of {sku}, {shelf.reserved} of them set aside for orders: "
            f"{-quantity} cannot be taken away",
            sku=sku,
            location=shelf.location,
            on_hand=shelf.on_hand,
            reserved=shelf.reserved,
        )


def adjust(shelves: Shelves, sku: str, location: str, quantity: int, reason: str) -> Movement:
    """Correct the pieces on hand; what is set aside for orders cannot be taken away."""
    if sku not in shelves:
        raise UnknownSku(sku)
    shelf = shelves[sku].at(location)
    if shelf.available + quantity < 0:
        raise BelowReserved(sku, shelf, quantity)
    return Movement(sku, location, Kind.ADJUSTED, on_hand_change=quantity, reason=reason)


def adjusted(shelves: Shelves, movement: Movement) -> list[StockAdjusted | StockLow]:
    """What follows from an adjustment of these shelves."""
    after = shelves.after([movement])
    said = StockAdjusted(
        sku=movement.sku,
        location=movement.location,
        quantity=movement.on_hand_change,
        available=after[movement.sku].available,
        reason=movement.reason or "",
    )
    return [said, *low(shelves, after)]
