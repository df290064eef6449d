"""The contracts: one module a family, one class an event. Importing this package knows them all."""

from shared.events import orders, payments, products, shipments, stock
from shared.events.event import EVENTS, OURS, Envelope, Event, received

__all__ = ["EVENTS", "OURS", "Envelope", "Event", "orders", "payments", "products", "received", "shipments", "stock"]
