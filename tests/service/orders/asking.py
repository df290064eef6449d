"""What a shop's engineer sends, and articles that orders knows."""

import asyncio
from typing import Any

from tests.builders import a_product_created
from tests.service.house import Bus, Client


def a_wish(sku: str, quantity: int = 1, **fields: Any) -> dict[str, Any]:
    """The body of POST /api/orders: one line, on account, to Hangzhou, unless said."""
    return {
        "currency": "CNY",
        "customer": {"name": "李雷", "phone": "+8613800000000"},
        "ship_to": {"name": "李雷", "country": "CN", "city": "杭州市", "line1": "文三路 1 号"},
        "lines": [{"sku": sku, "quantity": quantity}],
        "payment": {"channel": "invoice"},
    } | fields


async def sell(bus: Bus, orders: Client, sku: str, price: int = 29900) -> None:
    """Orders has the article on its price list."""
    await bus.publish(a_product_created(sku=sku, price=price), source="/orderbus/inventory")
    while (await orders.post("/api/orders", json=a_wish(sku))).status_code == 422:
        await asyncio.sleep(0.02)
