"""A process that dies loses nothing."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from deploy.audit import audit
from deploy.stack import stack
from deploy.stack.state import open_folder
from tests.builders import a_paid_order
from tests.journeys.shop import Shop


@pytest.mark.parametrize("victim", ["orders", "inventory", "payments", "logistics"])
async def test_a_service_killed_under_load_and_brought_back_loses_no_order(
    shop: Shop, running: Path, services: dict[str, int], sku: str, order_id: str, victim: str
) -> None:
    await shop.sell(sku, stock=1000)
    ids = [f"{order_id}-{n}" for n in range(60)]

    for n, id in enumerate(ids):
        await shop.bus.publish(a_paid_order(order_id=id, sku=sku), source="/shops/taobao-42")
        if n == 30:
            os.kill(services[victim], signal.SIGKILL)
    await asyncio.to_thread(stack.up, folder=open_folder(running))

    for id in ids:
        await shop.until(id, "shipped")
        await shop.pushed(id)
    assert await shop.stock(sku) == 1000 - len(ids)
    report = await audit(shop.addresses["postgres"]["superuser_url"])
    assert report.ok, [check.violations for check in report.checks if not check.ok]
