"""Orders: accepts an order and sees it to the door."""

from services.orders import api, events_api, handlers, jobs, metrics, store
from services.orders.settings import settings
from shared.events.orders import (
    OrderCancelled,
    OrderCompleted,
    OrderHeld,
    OrderPaid,
    OrderPlaced,
    OrderRejected,
    OrderReleased,
    RefundRequested,
    RefundReturned,
)
from shared.service import Service

service = Service(
    name="orders",
    description="Accepts an order and sees it to the door.",
    settings=settings,
    api=[api.router, events_api.router],
    handlers=handlers.on,
    duties=jobs.every,
    journal=store.timeline,
    measure=metrics.measure,
    announces=[
        OrderPlaced,
        OrderRejected,
        OrderPaid,
        OrderHeld,
        OrderReleased,
        OrderCancelled,
        RefundRequested,
        RefundReturned,
        OrderCompleted,
    ],
)
