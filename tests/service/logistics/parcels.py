"""Orders for the carriers and outcomes of the sandbox, and what its partners hold of them."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from shared.events.orders import OrderPaid
from shared.events.stock import StockDeducted
from tests.builders import a_customer, a_paid_order, an_address
from tests.service.house import Bus, Client

ABROAD = {"country": "DE", "city": "Berlin", "line1": "Unter den Linden 1"}


def an_order_at_home(order_id: str, phone: str | None = None) -> OrderPaid:
    """Goes with our own fleet; without a phone the shopper is told in the app."""
    return a_paid_order(order_id=order_id, customer=a_customer(phone=phone))


def an_order_abroad(order_id: str, postcode: str = "10115", phone: str | None = None) -> OrderPaid:
    """Goes with DHL; the postcode chooses what DHL does."""
    return a_paid_order(order_id=order_id, customer=a_customer(phone=phone), ship_to=an_address(**ABROAD, postcode=postcode))


async def paid(bus: Bus, *orders: OrderPaid, id: str | None = None) -> tuple[str, str]:
    """The orders are paid and their pieces have left the books; the ids of the last of these events."""
    deducted = [StockDeducted(order_id=order.order_id, allocations=()) for order in orders]
    return await bus.publish(*orders, id=id), await bus.publish(*deducted, source="/orderbus/inventory")


def a_phone() -> str:
    """A number no other test uses."""
    return f"+86138{random.randrange(10**8):08d}"


async def at_dhl(sandbox: Client, shipment_id: str) -> list[dict[str, Any]]:
    """DHL's waybills for one of our shipments."""
    answer = await sandbox.get("/sandbox/ledger", params={"reference": UUID(shipment_id).hex})
    shipments: list[dict[str, Any]] = answer.json()["shipments"]
    return shipments


async def messages_to(sandbox: Client, phone: str) -> list[str]:
    """The texts that a phone has received."""
    answer = await sandbox.get("/sandbox/ledger", params={"to": phone})
    return [message["body"] for message in answer.json()["messages"]]


async def of_order(logistics: Client, order_id: str) -> dict[str, Any]:
    """The order's one shipment."""
    answer = await logistics.get("/api/shipments", params={"order_id": order_id})
    [shipment] = answer.json()["shipments"]
    return dict(shipment)


async def becomes(ask: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """Returns as soon as the answer is yes."""
    until = time.monotonic() + seconds
    while not await ask():
        assert time.monotonic() < until, "it has not become true"
        await asyncio.sleep(0.02)
