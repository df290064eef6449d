"""What inventory counts: what it could set aside for orders, and what it could not."""

from collections import Counter as Tally
from collections.abc import Sequence

from prometheus_client import Counter

from shared import metrics
from shared.events import Event
from shared.events.stock import StockDeducted, StockLow, StockRejected, StockReleased, StockReserved

decisions = Counter(
    "orderbus_stock_decisions_total",
    "Orders whose stock was reserved, deducted, released or expired, or was not there: out_of_stock, unknown_sku.",
    ["outcome"],
)
low = Counter("orderbus_stock_low_total", "Times a product fell below its threshold.")

metrics.from_the_start(decisions, "reserved", "deducted", "out_of_stock", "unknown_sku", "released", "expired")


def count(events: Sequence[Event]) -> None:
    """Count what was announced in a transaction that has committed."""
    tally = Tally(outcome for event in events if (outcome := _outcome(event)))
    for outcome, orders in tally.items():
        decisions.labels(outcome).inc(orders)
    low.inc(sum(isinstance(event, StockLow) for event in events))


def _outcome(event: Event) -> str | None:
    match event:
        case StockReserved():
            return "reserved"
        case StockDeducted():
            return "deducted"
        case StockRejected(reason=reason):
            return reason
        case StockReleased(reason="expired"):
            return "expired"
        case StockReleased():
            return "released"
    return None
