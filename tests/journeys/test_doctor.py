"""The doctor finds nothing wrong with what is well, and what was lost on the way is said again."""

import asyncio
import os
import signal
from pathlib import Path

import aio_pika
import asyncpg

from deploy.audit import audit
from deploy.backup import bus
from deploy.doctor import Finding, Whose, visit
from deploy.doctor.visiting import examine
from deploy.stack import stack
from deploy.stack.state import open_folder
from shared.bus.broker import queue_name
from tests.journeys.shop import Shop
from tests.journeys.test_audit import some_orders


async def an_hour_later(shop: Shop, sku: str) -> list[Finding]:
    """What would be found of the product's orders if nothing were said for an hour."""
    connection = await asyncpg.connect(shop.addresses["postgres"]["superuser_url"])
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute("UPDATE orders.timeline SET at = at - interval '1 hour'")
        ids = await connection.fetch("SELECT id FROM orders.orders WHERE placed #>> '{lines,0,sku}' = $1", sku)
        return [finding for finding in await examine(connection) if finding.order_id in {row["id"] for row in ids}]
    finally:
        await transaction.rollback()
        await connection.close()


async def test_nothing_is_found_where_all_goes_well(shop: Shop, sku: str) -> None:
    await some_orders(shop, sku)

    assert await an_hour_later(shop, sku) == []


async def test_a_held_order_is_a_persons(shop: Shop, sku: str) -> None:
    await shop.sell(sku)
    order_id = await shop.order(sku, channel="card", token="tok_review")
    await shop.until(order_id, "held")

    (finding,) = await an_hour_later(shop, sku)

    assert finding.whose is Whose.PERSON
    await shop.tell(order_id, "cancel")
    await shop.until(order_id, "cancelled")


async def test_what_the_bus_has_lost_is_said_again_and_the_order_goes_on(
    shop: Shop, running: Path, services: dict[str, int], sku: str
) -> None:
    await shop.sell(sku)
    os.kill(services["logistics"], signal.SIGKILL)
    order_id = await shop.order(sku)
    await shop.until(order_id, "paid")
    async with await aio_pika.connect(shop.addresses["rabbitmq"]["url"]) as connection:
        channel = await connection.channel()
        for type in ("order.paid", "stock.deducted"):
            queue = await channel.get_queue(queue_name("logistics", type))
            while not await bus.waiting_in(channel, queue.name):
                await asyncio.sleep(0.05)
            await queue.purge()
    await asyncio.to_thread(stack.up, folder=open_folder(running))
    url = shop.addresses["postgres"]["superuser_url"]
    database = await asyncpg.connect(url)
    await database.execute("UPDATE orders.timeline SET at = at - interval '1 hour' WHERE order_id = $1", order_id)
    await database.close()

    found = [finding for finding in await visit(url) if finding.order_id == order_id]
    healed = [finding for finding in await visit(url, heal=True) if finding.order_id == order_id]

    assert [finding.found.split()[0] for finding in found] == ["order.paid", "stock.deducted"]
    assert [finding.done for finding in found] == [None, None]
    assert all(finding.whose is Whose.DOCTOR and finding.done for finding in healed)
    await shop.until(order_id, "shipped")
    await shop.pushed(order_id)
    report = await audit(url)
    assert report.ok, [check.violations for check in report.checks if not check.ok]
