"""Inventory: keeps the catalogue and the shelves, and sets stock aside for whole orders, never more than there is."""

from services.inventory import api, handlers, jobs
from services.inventory.settings import settings
from shared.events.products import ProductChanged, ProductCreated, ProductDeleted
from shared.events.stock import StockAdjusted, StockDeducted, StockLow, StockRejected, StockReleased, StockReserved
from shared.service import Service

service = Service(
    name="inventory",
    description="The catalogue and the shelves: products, stock, and what is set aside for which order.",
    settings=settings,
    api=[api.router],
    handlers=handlers.on,
    duties=jobs.every,
    announces=[
        StockReserved,
        StockRejected,
        StockDeducted,
        StockReleased,
        StockAdjusted,
        StockLow,
        ProductCreated,
        ProductChanged,
        ProductDeleted,
    ],
)
