"""A cancellation that meets a parcel which is just being made, or has just left: what is true at the end, and the audit
that sees it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from httpx import AsyncClient

from deploy.audit.report import Report
from deploy.audit.running import examine
from shared.events.orders import OrderHeld
from shared.events.payments import PaymentRefunded
from shared.events.shipments import ShipmentCancelled, ShipmentInTransit
from shared.events.stock import StockReleased
from tests.journeys.shop import Shop

SLOW = {"country": "DE", "city": "Berlin", "line1": "Torstr. 1", "postcode": "00408", "phone": "+4930123456"}
"""DHL makes the waybill and does not answer in time."""


async def cancelled_while_dhl_was_making_the_waybill(shop: Shop, sku: str) -> tuple[str, str]:
    """An order that is cancelled before we know its waybill; its id and the waybill."""
    await shop.sell(sku, stock=5)
    order_id = await shop.order(sku, channel="card", token="tok_ok", ship_to=SLOW)
    while not (waybill := await _waybill_at_dhl(shop, order_id)):
        await asyncio.sleep(0.02)
    assert (await shop.tell(order_id, "cancel")).status_code == 200
    return order_id, waybill


async def test_a_waybill_found_after_the_cancellation_is_withdrawn_its_pieces_restocked_and_the_audit_agrees(
    shop: Shop, sku: str
) -> None:
    order_id, _ = await cancelled_while_dhl_was_making_the_waybill(shop, sku)

    await shop.bus.expect(ShipmentCancelled, order_id=order_id, timeout=60)
    await shop.bus.expect(StockReleased, order_id=order_id)
    await shop.bus.expect(PaymentRefunded, order_id=order_id)

    assert (await shop.until(order_id, "cancelled"))["shipment"] is None
    assert await complaints(shop, order_id) == []


async def test_a_parcel_that_left_before_the_cancellation_is_shown_its_money_goes_back_and_its_pieces_do_not(
    shop: Shop, sku: str
) -> None:
    order_id, waybill = await cancelled_while_dhl_was_making_the_waybill(shop, sku)
    await shop.client.post(f"{shop.url('sandbox')}/sandbox/shipments/{waybill}/scan", json={"status": "transit"})

    await shop.bus.expect(ShipmentInTransit, order_id=order_id, timeout=60)
    held = await shop.until(order_id, "held")
    await shop.bus.expect(PaymentRefunded, order_id=order_id)
    complaints_while_held = await complaints(shop, order_id)
    await shop.tell(order_id, "release")

    assert "had left" in held["held_because"][0]
    assert shop.bus.all(OrderHeld, order_id=order_id)
    assert not shop.bus.all(StockReleased, order_id=order_id)
    assert (await shop.until(order_id, "cancelled"))["refunded"]["amount"] == 29900
    assert complaints_while_held == await complaints(shop, order_id) == []
    restocked = "UPDATE inventory.reservation SET state = 'cancelled', allocations = '[]' WHERE order_id = $1"
    assert await complaints(shop, order_id, restocked) == [
        f"order {order_id}: it holds 0 and has taken 0, but movements say 0 and 1",
        f"order {order_id} is cancelled and its parcel is gone, its stock is cancelled",
    ]
    unseen = "UPDATE orders.orders SET facts = facts - 'stray_seen' WHERE id = $1"
    assert any("the order is cancelled" in complaint for complaint in await complaints(shop, order_id, unseen))


async def _waybill_at_dhl(shop: Shop, order_id: str) -> str | None:
    known = (await _get(shop.client, f"{shop.url('logistics')}/api/shipments", order_id=order_id))["shipments"]
    if not known:
        return None
    ledger = await _get(shop.client, f"{shop.url('sandbox')}/sandbox/ledger", reference=UUID(known[0]["shipment_id"]).hex)
    return str(ledger["shipments"][0]["tracking_number"]) if ledger["shipments"] else None


async def _get(client: AsyncClient, url: str, **asked: str) -> Any:
    return (await client.get(url, params=asked)).json()


async def complaints(shop: Shop, order_id: str, mischief: str | None = None) -> list[str]:
    """What the audit says of the order once it has been left alone, and after something was done to it by hand."""
    connection = await asyncpg.connect(shop.addresses["postgres"]["superuser_url"])
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("UPDATE orders.timeline SET at = at - interval '1 hour'")
        if mischief:
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute(mischief, order_id)
        report: Report = await examine(connection, datetime.now(UTC) - timedelta(minutes=1))
    finally:
        await transaction.rollback()
        await connection.close()
    return [violation for check in report.checks for violation in check.violations if order_id in violation]
