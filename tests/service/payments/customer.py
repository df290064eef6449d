"""What happens around a payment, as other services tell it; and what can be seen of the money afterwards."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any
from uuid import uuid4

import asyncpg
import orjson

from services.payments.settings import settings
from shared.events.orders import OrderPlaced, RefundRequested
from shared.events.payments import PaymentCaptured
from shared.events.stock import StockReserved
from shared.money import Money
from tests.builders import a_placed_order
from tests.service.house import Bus, Client, House

PRICE = Money(amount=29900, currency="CNY")
SHOP = "/shops/taobao-42"
WEBHOOK = "/api/webhooks/stripe"


def reserved(order_id: str) -> StockReserved:
    return StockReserved(order_id=order_id, allocations=())


def placed(order_id: str, channel: str, token: str | None = None, **fields: Any) -> OrderPlaced:
    return a_placed_order(order_id=order_id, channel=channel, token=token, **fields)


def a_refund_request(order_id: str, amount: int = PRICE.amount, **fields: Any) -> RefundRequested:
    said: dict[str, Any] = {"refund_id": f"{order_id}:cancel", "reason": "order_cancelled"}
    return RefundRequested(order_id=order_id, amount=Money(amount=amount, currency="CNY"), **said | fields)


async def order(bus: Bus, order_id: str, channel: str, token: str | None = None, **fields: Any) -> None:
    """A shopper's order, placed, and its stock set aside."""
    await bus.publish(placed(order_id, channel, token, **fields))
    await bus.publish(reserved(order_id), source="/orderbus/inventory")


def signed(body: bytes, age: int = 0) -> dict[str, str]:
    """The header that proves that a webhook is Stripe's."""
    t = int(time.time()) - age
    digest = hmac.new(settings().webhook_secrets[0].encode(), b"%d.%s" % (t, body), sha256).hexdigest()
    return {"stripe-signature": f"t={t},v1={digest}", "content-type": "application/json"}


async def charges(sandbox: Client, order_id: str) -> list[dict[str, Any]]:
    """What the provider holds for the order."""
    charges: list[dict[str, Any]] = (await sandbox.get("/sandbox/ledger", params={"order_id": order_id})).json()["charges"]
    return charges


async def payment_of(payments: Client, order_id: str) -> dict[str, Any]:
    """The order's payment, as the service shows it; empty while there is none."""
    response = await payments.get("/api/payments", params={"order_id": order_id})
    response.raise_for_status()
    found: list[dict[str, Any]] = response.json()
    return found[0] if found else {}


async def until(condition: Callable[[], Awaitable[bool]], timeout: float = 10) -> None:
    """Returns as soon as it is so."""
    async with asyncio.timeout(timeout):
        while not await condition():
            await asyncio.sleep(0.02)


async def until_state(payments: Client, order_id: str, state: str) -> None:
    async def reached() -> bool:
        return (await payment_of(payments, order_id)).get("state") == state

    await until(reached)


async def until_asked_days_ago(house: House, table: str, order_id: str) -> None:
    """Once the provider was asked in vain, and is to be asked again soon, it was two days ago. What is being asked now is due in
    four seconds: what the provider then says is learned as an answer, though a late one."""
    connection = await asyncpg.connect(house.database_url)

    async def is_set_back() -> bool:
        changed: str = await connection.execute(
            f"""
            UPDATE payments.{table} SET attempted_at = now() - interval '2 days'
             WHERE order_id = $1 AND attempts >= 1 AND due_at < now() + interval '1 second'
            """,
            order_id,
        )
        return changed == "UPDATE 1"

    try:
        await until(is_set_back)
    finally:
        await connection.close()


async def ask_for_what_is_not_answered(sandbox: Client, bus: Bus, order_id: str) -> None:
    """A refund of an order that is paid, by a provider that is out of order."""
    await order(bus, order_id, "card", "tok_ok")
    await bus.expect(PaymentCaptured, order_id=order_id)
    await sandbox.post("/sandbox/faults", json={"partner": "stripe", "error_rate": 1})
    await bus.publish(a_refund_request(order_id))


async def until_due(payments: Client, order_id: str) -> None:
    """The provider is to be asked for it."""

    async def is_due() -> bool:
        return [refund["state"] for refund in (await payment_of(payments, order_id))["refunds"]] == ["due"]

    await until(is_due)


def that_it_failed(order_id: str, type: str = "refund.failed", **refund: Any) -> bytes:
    """As Stripe would write it."""
    failed = {"id": "re_1", "metadata": {"order_id": order_id, "refund_id": f"{order_id}:cancel"}, "status": "failed"}
    return orjson.dumps({"id": f"evt_{uuid4().hex}", "type": type, "data": {"object": failed | refund}})


async def given_back(house: House, order_id: str) -> tuple[int, int]:
    """What is given back by the payment's row, and by the ledger."""
    query = """
        SELECT refunding, coalesce((SELECT sum(amount) FROM payments.ledger_entry e
                                     WHERE e.order_id = p.order_id AND kind = 'refunded' AND NOT EXISTS (
                                           SELECT FROM payments.ledger_return r
                                            WHERE (r.order_id, r.refund_id) = (e.order_id, e.refund_id))), 0)::bigint
          FROM payments.payment p WHERE order_id = $1
        """
    connection = await asyncpg.connect(house.database_url)
    try:
        row = await connection.fetchrow(query, order_id)
    finally:
        await connection.close()
    assert row is not None
    return row[0], row[1]
