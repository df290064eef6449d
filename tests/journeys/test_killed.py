"""A process that dies loses nothing."""

import asyncio
import os
import signal
from pathlib import Path

from deploy.audit import audit
from deploy.stack import stack
from deploy.stack.state import open_folder
from tests.builders import a_paid_order
from tests.journeys.shop import Shop

VICTIMS = ("logistics", "payments", "inventory", "orders")
"""Who hears last dies first: so each still has something to do when its turn comes."""


async def test_services_killed_under_load_one_after_the_other_and_brought_back_lose_no_order(
    shop: Shop, running: Path, services: dict[str, int], sku: str, order_id: str
) -> None:
    await shop.sell(sku, stock=1000)
    paid = [f"{order_id}-{n}" for n in range(60)]
    ids = [*paid]

    for n, id in enumerate(paid):
        await shop.bus.publish(a_paid_order(order_id=id, sku=sku), source="/shops/taobao-42")
        if n % 15 == 5:
            ids.append(await shop.order(sku, channel="card", token="tok_ok"))
        if n % 15 == 10:
            os.kill(services[VICTIMS[n // 15]], signal.SIGKILL)
    await asyncio.to_thread(stack.up, folder=open_folder(running))

    for id in ids:
        await shop.until(id, "shipped")
        await shop.pushed(id)
    assert await shop.stock(sku) == 1000 - len(ids)
    report = await audit(shop.addresses["postgres"]["superuser_url"])
    assert report.ok, [check.violations for check in report.checks if not check.ok]
