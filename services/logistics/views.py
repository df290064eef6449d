"""SQL that reads: for HTTP, and for the metrics."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from services.logistics.shipping import Kind, State
from shared.database import Reader


class ShipmentView(BaseModel):
    """A parcel: where it is, and under which number. Nothing of whom it is for."""

    shipment_id: UUID
    order_id: str
    carrier: str | None
    state: State
    waybill: str | None
    tracking_number: str | None
    tracking_url: str | None
    reason: str | None
    told_by: str | None
    created_at: datetime
    booked_at: datetime | None
    told_at: datetime | None
    in_transit_at: datetime | None
    delivered_at: datetime | None
    cancelled_at: datetime | None


# of an order that was cancelled before it was paid there never was a shipment
_SELECT = """
    SELECT shipment_id, order_id, carrier, state, waybill, waybill AS tracking_number, tracking_url,
           CASE WHEN state = 'failed' THEN coalesce(failure, refused) END AS reason, told_by, created_at, booked_at, told_at,
           in_transit_at, delivered_at, cancelled_at
      FROM shipment WHERE paid_at IS NOT NULL AND
"""


async def of_order(reader: Reader, order_id: str) -> list[ShipmentView]:
    """The order's shipments: one, or none yet."""
    return [_view(row) for row in await reader.fetch(f"{_SELECT} order_id = $1", order_id)]


async def shipment(reader: Reader, shipment_id: UUID) -> ShipmentView | None:
    """The shipment, or None."""
    row = await reader.fetchrow(f"{_SELECT} shipment_id = $1", shipment_id)
    return _view(row) if row else None


async def label(reader: Reader, shipment_id: UUID) -> bytes | None:
    """The shipment's label, a PDF; None when there is none, or none any more."""
    content: bytes | None = await reader.fetchval("SELECT content FROM label WHERE shipment_id = $1", shipment_id)
    return content


def _view(row: Any) -> ShipmentView:
    return ShipmentView(**dict(row))


async def overdue(kind: Kind, reader: Reader, late: timedelta) -> int:
    """Errands that should have been done so long ago."""
    query = "SELECT count(*) FROM errand WHERE kind = $1 AND next_attempt_at < now() - $2::interval"
    count: int = await reader.fetchval(query, kind, late)
    return count


async def overdue_to_push(reader: Reader, late: timedelta) -> int:
    """Booked parcels, paid or released so long ago, whose shopper is still to be told the number."""
    count: int = await reader.fetchval(
        """
        SELECT count(*) FROM errand JOIN shipment USING (shipment_id)
         WHERE kind = 'notify' AND next_attempt_at IS NOT NULL AND greatest(paid_at, released_at) < now() - $1::interval
        """,
        late,
    )
    return count
