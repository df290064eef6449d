"""SQL that reads: for HTTP, and for the metrics."""

from datetime import datetime, timedelta

from pydantic import BaseModel

from services.orders.facts import Parcel
from services.orders.order import Order, Status
from services.orders.store import order_from
from shared.database import Reader
from shared.events import OURS
from shared.events.fields import Address, Customer, Line
from shared.events.orders import OrderRejected
from shared.money import Money

LONGEST_TIMELINE = 1000
"""Events that are told of one order, of the thirty that a long one has: any shop may name its id in as many as it likes."""


class RefundView(BaseModel):
    """Money owed back: requested, refunded or failed. `asked_by` is whose token asked for it; or said that it had gone by a
    transfer, whose reference is in `by_hand` then."""

    refund_id: str
    amount: Money
    reason: str
    state: str
    asked_by: str | None
    by_hand: str | None


class OrderView(BaseModel):
    """An order as its owner sees it."""

    order_id: str
    status: Status
    source: str
    placed_at: datetime
    total: Money
    captured: Money
    refunded: Money
    lines: tuple[Line, ...]
    customer: Customer
    ship_to: Address
    channel: str
    payment_url: str | None
    held_because: list[str]
    cancelled_because: str | None
    shipment: Parcel | None
    tracking_pushed_at: datetime | None
    delivered_at: datetime | None
    refunds: list[RefundView]

    @classmethod
    def of(cls, order: Order) -> "OrderView":
        """The view of a placed order."""
        placed = order.placed
        assert placed is not None
        assert order.placed_at is not None
        currency = placed.total.currency
        return cls(
            order_id=order.id,
            status=order.status,
            source=placed.source,
            placed_at=order.placed_at,
            total=placed.total,
            captured=Money(amount=order.captured, currency=currency),
            refunded=Money(amount=order.refunded, currency=currency),
            lines=placed.lines,
            customer=placed.customer,
            ship_to=placed.ship_to,
            channel=placed.payment.channel,
            payment_url=order.payment_url,
            held_because=list(order.waits_for) if order.status is Status.HELD else [],
            cancelled_because=order.cancel_reason,
            shipment=order.parcel,
            tracking_pushed_at=order.pushed_at,
            delivered_at=order.delivered_at,
            refunds=[refund_view(order, refund_id) for refund_id in order.refunds],
        )


def refund_view(order: Order, refund_id: str) -> RefundView:
    """One refund of the order."""
    refund = order.refunds[refund_id]
    assert order.placed is not None
    return RefundView(
        refund_id=refund_id,
        amount=Money(amount=refund.amount, currency=order.placed.total.currency),
        reason=refund.reason,
        state="failed" if refund.failure else "refunded" if refund.reference is not None else "requested",
        asked_by=refund.asked_by,
        by_hand=refund.by_hand,
    )


class TimelineEntry(BaseModel):
    """One event of an order's life. `ms` since the first."""

    at: datetime
    ms: float
    event: str
    source: str
    note: str
    id: str
    caused_by: str | None
    trace_id: str | None


async def order(reader: Reader, id: str, of: str | None) -> OrderView | None:
    """The order, or None. `of`: the one source whose orders are there for who asks; None sees all."""
    row = await reader.fetchrow(
        """
        SELECT id, placed::text, placed_at, facts FROM orders
         WHERE id = $1 AND placed IS NOT NULL AND ($2::text IS NULL OR source = $2)
        """,
        id,
        of,
    )
    return OrderView.of(order_from(row)) if row else None


async def orders(
    reader: Reader, of: str | None, status: Status | None, page: int, page_size: int
) -> tuple[list[OrderView], bool]:
    """One page, newest first, and whether there are more."""
    # each condition is there only where it is wanted, so that each has its index
    wanted = {column: value for column, value in (("source", of), ("status", status)) if value is not None}
    condition = " AND ".join(["placed IS NOT NULL", *(f"{column} = ${3 + i}" for i, column in enumerate(wanted))])
    rows = await reader.fetch(
        f"""
        SELECT id, placed::text, placed_at, facts FROM orders WHERE {condition}
        ORDER BY placed_at DESC, id LIMIT $1 OFFSET $2
        """,  # noqa: S608 -- the columns are literals above
        page_size + 1,
        (page - 1) * page_size,
        *wanted.values(),
    )
    return [OrderView.of(order_from(row)) for row in rows[:page_size]], len(rows) > page_size


async def timeline(reader: Reader, id: str, of: str | None) -> list[TimelineEntry]:
    """What was said of the order, by when it was said, and nothing before what led to it; nothing when it is not there for who
    asks. Of more than can be told, what our services said comes first, but that another was turned away."""
    rows = await reader.fetch(
        """
        SELECT at, extract(epoch FROM at - min(at) OVER ())::float * 1000 AS ms, type AS event, source, note,
               event_id AS id, caused_by, trace_id
          FROM (SELECT * FROM timeline
                 WHERE order_id = $1 AND ($2::text IS NULL OR EXISTS (SELECT FROM orders WHERE id = $1 AND source = $2))
                 ORDER BY starts_with(source, $3) AND type <> $4 DESC, at LIMIT $5) told
         ORDER BY at, caused_by IS NOT NULL, event_id
        """,
        id,
        of,
        OURS,
        OrderRejected.type,
        LONGEST_TIMELINE,
    )
    return [TimelineEntry(**dict(row)) for row in rows]


async def held(reader: Reader) -> tuple[int, float]:
    """How many orders wait for a person, and the seconds since the oldest of them was placed."""
    row = await reader.fetchrow(
        """
        SELECT count(*) AS orders, coalesce(extract(epoch FROM now() - min(placed_at)), 0)::float AS oldest
          FROM orders WHERE status = 'held'
        """
    )
    assert row is not None
    return row["orders"], row["oldest"]


async def overdue_to_ship(reader: Reader, late: timedelta) -> int:
    """Orders paid, or released, so long ago that have no parcel yet; a thousand stand for as many or more."""
    count: int = await reader.fetchval(
        """
        SELECT count(*)
          FROM (SELECT id, facts FROM orders WHERE status = 'paid' AND placed_at < now() - $1::interval
                 ORDER BY placed_at LIMIT 1000) waiting
          JOIN timeline ON order_id = id AND type = 'order.paid' AND source = $2
         WHERE greatest(at, (facts->>'released_at')::timestamptz) < now() - $1::interval
        """,
        late,
        f"{OURS}orders",
    )
    return count


async def overdue_to_complete(reader: Reader, late: timedelta) -> int:
    """Orders whose return window was over so long ago."""
    count: int = await reader.fetchval("SELECT count(*) FROM orders WHERE complete_at < now() - $1::interval", late)
    return count
