"""What orders counts: how orders come, go on and end, and how long that takes them."""

from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from prometheus_client import Counter, Gauge, Histogram

from services.orders import views
from services.orders.order import Order, Status
from shared import metrics, telemetry
from shared.database import Reader, Tx

MINUTE, HOUR, DAY = 60, 3600, 86_400
SOON = (0.05, 0.1, 0.2, 0.25, 0.5, 1, 2.5, 5, 10, 30, MINUTE, 5 * MINUTE, 15 * MINUTE)
LATER = (HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY)

STOPPERS = {
    "stock.rejected": "inventory",
    "payment.review_required": "payments",
    "refund.failed": "payments",
    "shipment.failed": "logistics",
}
"""What holds an order, when it is not orders itself, and who says it."""

statuses = Counter("orderbus_orders_total", "Orders that have come to a status, by payment channel.", ["status", "channel"])
countries = Counter("orderbus_orders_accepted_total", "Orders taken on, by the country they go to.", ["country"])
intercepted = Counter("orderbus_orders_intercepted_total", "Orders stopped for a person to see, by who stopped them.", ["by"])
milestones = Histogram(
    "orderbus_order_milestone_seconds",
    "Time from an order's placing to a milestone of its journey.",
    ["milestone"],
    buckets=(*SOON, *LATER),
)
held = Gauge("orderbus_orders_held", "Orders that wait for a person now.")
held_oldest_seconds = Gauge(
    "orderbus_orders_held_oldest_seconds", "Time since the placing of the oldest order that waits for one."
)

metrics.from_the_start(intercepted, "orders", *STOPPERS.values())
metrics.from_the_start(milestones, "paid", "shipped", "pushed", "delivered", "completed")


def count(tx: Tx, changes: Sequence[tuple[Order, Order]]) -> None:
    """Count what has become of these orders in a transaction that has committed."""
    came_to: Tally[tuple[str, str]] = Tally()
    reached: dict[str, list[tuple[float, str | None]]] = {}
    stopped_by = {event.subject: STOPPERS[event.type] for event in tx.heard if event.type in STOPPERS}
    for before, after in changes:
        if after.placed is None or after.placed_at is None:
            continue
        is_new, status = before.placed is None, after.status
        if is_new:
            countries.labels(after.placed.ship_to.country).inc()
        if is_new or status is not before.status:
            came_to[status, metrics.channel(after.placed.payment.channel)] += 1
            if status is Status.HELD:
                intercepted.labels(stopped_by.get(after.id, "orders")).inc()
        for milestone, at in _newly_reached(before, after, tx.now):
            cause = tx.cause(after.id)
            wait = max(0.0, (at - after.placed_at).total_seconds())
            reached.setdefault(milestone, []).append((wait, telemetry.recorded_trace_id(cause) if cause else None))
    for labels, orders in came_to.items():
        statuses.labels(*labels).inc(orders)
    for milestone, waits in reached.items():
        metrics.observe(milestones.labels(milestone), waits)


def _newly_reached(before: Order, after: Order, now: datetime) -> Iterator[tuple[str, datetime]]:
    """Each is reached once; of an order that others spoke of before it was placed, all that they said is reached with its
    placing."""
    was = before if before.placed else Order(id=before.id)
    if after.is_paid and not was.is_paid:
        yield "paid", now
    if after.parcel and not was.parcel:
        yield "shipped", now
    if after.pushed_at and not was.pushed_at:
        yield "pushed", after.pushed_at
    if after.delivered_at and not was.delivered_at:
        yield "delivered", after.delivered_at
    if after.completed_at and not was.completed_at:
        yield "completed", after.completed_at


async def measure(reader: Reader, late: timedelta) -> None:
    """Bring the gauges up to date."""
    waiting, oldest = await views.held(reader)
    held.set(waiting)
    held_oldest_seconds.set(oldest)
    metrics.orders_overdue.labels("ship").set(await views.overdue_to_ship(reader, late))
