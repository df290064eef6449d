"""What inventory says of stock."""

from typing import Literal

from pydantic import AwareDatetime

from shared.events.event import Event
from shared.events.fields import Allocation, OrderedLine, OrderId, Reason, Sku


class StockReserved(Event, type="stock.reserved"):
    """Inventory has set every line of an order aside until `expires_at`; without one (the order is paid) until shipped."""

    order_id: OrderId
    allocations: tuple[Allocation, ...]
    expires_at: AwareDatetime | None = None

    def note(self) -> str:
        return ", ".join(f"{a.quantity} × {a.sku} from {a.location}" for a in self.allocations[:5])


class StockRejected(Event, type="stock.rejected"):
    """Inventory could not set the whole order aside, so it set nothing aside. `missing` are the lines that fell short,
    with the quantity that was not there. `paid`: the money had been taken, so a person must decide."""

    order_id: OrderId
    reason: Literal["out_of_stock", "unknown_sku"]
    missing: tuple[OrderedLine, ...]
    paid: bool = False

    def note(self) -> str:
        return f"{self.reason}: " + ", ".join(f"{m.quantity} × {m.sku}" for m in self.missing[:5])


class StockReleased(Event, type="stock.released"):
    """What was set aside for an order can be sold again."""

    order_id: OrderId
    reason: Literal["expired", "cancelled"]

    def note(self) -> str:
        return self.reason


class StockDeducted(Event, type="stock.deducted"):
    """The pieces of a paid order have left the books: on hand is lower, nothing is set aside for it any more."""

    order_id: OrderId
    allocations: tuple[Allocation, ...]


class StockAdjusted(Event, type="stock.adjusted", subject="sku"):
    """A person or a warehouse has corrected the pieces on hand by `quantity` (signed)."""

    sku: Sku
    location: str
    quantity: int
    available: int
    reason: Reason


class StockLow(Event, type="stock.low", subject="sku"):
    """What can still be sold of a product has fallen below its threshold, or that was raised above it; said once each time."""

    sku: Sku
    available: int
    threshold: int
