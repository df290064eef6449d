"""Logistics: gives a paid order a waybill, tells the shopper, and follows the parcel to the door."""

from services.logistics import api, handlers, jobs, metrics
from services.logistics.settings import settings
from shared.events.shipments import (
    ShipmentCancelled,
    ShipmentCreated,
    ShipmentDelivered,
    ShipmentFailed,
    ShipmentInTransit,
    TrackingPushed,
)
from shared.service import Service

service = Service(
    name="logistics",
    description="Gives a paid order a waybill, tells the shopper, and follows the parcel to the door.",
    settings=settings,
    api=[api.shipments, api.webhooks],
    handlers=handlers.on,
    duties=jobs.every,
    jobs=[jobs.book, jobs.withdraw, jobs.notify],
    measure=metrics.measure,
    announces=[
        ShipmentCreated,
        TrackingPushed,
        ShipmentInTransit,
        ShipmentDelivered,
        ShipmentFailed,
        ShipmentCancelled,
    ],
)
