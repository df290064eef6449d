"""What logistics counts: how parcels go on, and how soon a paid order's shopper has the tracking number."""

from collections import Counter as Tally
from collections.abc import Mapping
from datetime import timedelta

from prometheus_client import Counter, Histogram

from services.logistics import views
from services.logistics.shipping import Shipment
from shared import metrics, telemetry
from shared.database import Reader, Tx

states = Counter("orderbus_shipments_total", "Parcels that have come to a state, by carrier.", ["state", "carrier"])
paid_to_pushed = Histogram(
    "orderbus_paid_to_pushed_seconds",
    "Time from an order's payment, or its release if it was held after that, until the shopper had the tracking number.",
    buckets=(0.05, 0.1, 0.2, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600, 21_600, 86_400),
)


def count(tx: Tx, before: Mapping[str, Shipment], after: Mapping[str, Shipment]) -> None:
    """Count what has become of these parcels in a transaction that has committed."""
    came_to = Tally(
        (shipment.state, shipment.carrier or "none") for id, shipment in after.items() if shipment.state is not before[id].state
    )
    for (state, carrier), parcels in came_to.items():
        states.labels(state, carrier).inc(parcels)
    waits = []
    for id, shipment in after.items():
        if shipment.told_at and shipment.paid_at and not before[id].told_at:
            since = max(shipment.paid_at, shipment.released_at or shipment.paid_at)
            cause = tx.cause(id)
            wait = max(0.0, (shipment.told_at - since).total_seconds())
            waits.append((wait, telemetry.recorded_trace_id(cause) if cause else None))
    metrics.observe(paid_to_pushed, waits)


async def measure(reader: Reader, late: timedelta) -> None:
    """Bring the gauges up to date."""
    metrics.orders_overdue.labels("push").set(await views.overdue_to_push(reader, late))
