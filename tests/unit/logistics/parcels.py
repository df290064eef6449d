"""Builders that say only what matters to a test of logistics."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.logistics import shipping
from services.logistics.shipping import Booked, Shipment
from services.logistics.tracking import Scan, Status
from tests.builders import a_paid_order

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def an_unknown_shipment() -> Shipment:
    return Shipment(UUID(int=1), "T-1")


def a_paid_shipment(carrier: str | None = "dhl", **order: Any) -> Shipment:
    """Paid, and its pieces have left the books."""
    return shipping.pay(shipping.deduct(an_unknown_shipment(), NOON), a_paid_order(**order), carrier, NOON)


def a_booked_shipment(waybill: str = "1234567890", carrier: str = "dhl", **order: Any) -> Shipment:
    return shipping.learn(a_paid_shipment(carrier, **order), Booked(waybill), NOON)


def a_scan(status: str, minutes: float = 0, description: str = "", waybill: str = "1234567890") -> Scan:
    return Scan(waybill, at(minutes), Status(status), description)
