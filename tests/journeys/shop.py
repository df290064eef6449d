"""What a shop's engineer does with a running installation."""

import asyncio
from typing import Any

import httpx

from shared.events.shipments import TrackingPushed
from tests.service.house import Bus


class Shop:
    """Places orders, watches what becomes of them."""

    def __init__(self, client: httpx.AsyncClient, bus: Bus, addresses: dict[str, Any]) -> None:
        self.client = client
        self.bus = bus
        self.addresses = addresses

    def url(self, service: str) -> str:
        """Where a service, or the sandbox, is."""
        return str((self.addresses["services"].get(service) or self.addresses[service])["url"])

    async def sell(self, sku: str, stock: int = 100, price: float = 299) -> None:
        """A product with stock, known to orders too."""
        product = {"sku": sku, "name": f"商品 {sku}", "price": price, "currency": "CNY", "stock": stock}
        response = await self.client.post(f"{self.url('inventory')}/api/products", json=product)
        assert response.status_code == 201, response.text
        probe = self.wish(sku) | {"lines": [{"sku": sku, "quantity": 1}, {"sku": "NONE", "quantity": 1}]}
        async with asyncio.timeout(20):
            while (await self.client.post(f"{self.url('orders')}/api/orders", json=probe)).json()["line"] == 0:
                await asyncio.sleep(0.02)

    @staticmethod
    def wish(
        sku: str, quantity: int = 1, channel: str = "invoice", token: str | None = None, ship_to: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The body of POST /api/orders: one line, on account, to Hangzhou, unless said."""
        address = {"name": "李雷", "country": "CN", "city": "杭州市", "line1": "文三路 1 号", "postcode": "310000"}
        return {
            "currency": "CNY",
            "customer": {"name": "李雷", "phone": "+8613800000000"},
            "ship_to": address | (ship_to or {}),
            "lines": [{"sku": sku, "quantity": quantity}],
            "payment": {"channel": channel, "token": token},
        }

    async def order(
        self,
        sku: str,
        quantity: int = 1,
        channel: str = "invoice",
        token: str | None = None,
        ship_to: dict[str, Any] | None = None,
    ) -> str:
        """Place an order; its id."""
        body = self.wish(sku, quantity, channel, token, ship_to)
        response = await self.client.post(f"{self.url('orders')}/api/orders", json=body)
        assert response.status_code == 201, response.text
        return str(response.json()["order_id"])

    async def ask(self, order_id: str, path: str = "") -> dict[str, Any]:
        """What orders says of an order."""
        response = await self.client.get(f"{self.url('orders')}/api/orders/{order_id}{path}")
        return dict(response.json())

    async def tell(self, order_id: str, what: str, **body: Any) -> httpx.Response:
        """cancel, release, refunds or what became of one."""
        return await self.client.post(f"{self.url('orders')}/api/orders/{order_id}/{what}", json=body or None)

    async def until(self, order_id: str, *statuses: str, seconds: float = 30) -> dict[str, Any]:
        """The order once it is in one of the statuses."""
        async with asyncio.timeout(seconds):
            while (order := await self.ask(order_id)).get("status") not in statuses:
                await asyncio.sleep(0.02)
        return order

    async def pushed(self, order_id: str) -> TrackingPushed:
        """Once the shopper has the tracking number."""
        return await self.bus.expect(TrackingPushed, order_id=order_id, timeout=30)

    async def stock(self, sku: str) -> int:
        """What can still be sold."""
        response = await self.client.get(f"{self.url('inventory')}/api/products", params={"keyword": sku})
        (product,) = response.json()["products"]
        return int(product["stock"])

    async def ledger(self, order_id: str) -> list[dict[str, Any]]:
        """The charges in the payment partner's own books."""
        response = await self.client.get(f"{self.url('sandbox')}/sandbox/ledger", params={"order_id": order_id})
        return list(response.json()["charges"])

    async def shipments(self, order_id: str) -> list[dict[str, Any]]:
        """What logistics says of an order."""
        response = await self.client.get(f"{self.url('logistics')}/api/shipments", params={"order_id": order_id})
        return list(response.json()["shipments"])

    async def scan(self, waybill: str, status: str) -> None:
        """The carrier scans the parcel."""
        await self.client.post(f"{self.url('sandbox')}/sandbox/shipments/{waybill}/scan", json={"status": status})
