"""What `status --watch` sees of a stack at work."""

import asyncio
from pathlib import Path

from rich.console import Console

from deploy.cli.watch import screen
from deploy.stack.state import open_folder
from deploy.stack.vitals import Pulse, look
from tests.journeys.shop import Shop


async def test_two_looks_show_what_each_service_does_and_how_late(shop: Shop, running: Path, sku: str) -> None:
    before = await look(shop.addresses, open_folder(running))
    await shop.sell(sku)
    order_id = await shop.order(sku)
    await shop.pushed(order_id)
    await shop.until(order_id, "shipped")

    pulses: dict[str, Pulse] = {}
    async with asyncio.timeout(20):
        while len(pulses) < 4 or not all(p.handled_per_second and p.published_per_second and p.lag_ms for p in pulses.values()):
            now = await look(shop.addresses, open_folder(running))
            pulses = now.pulses(before)

    console = Console(width=120)
    with console.capture() as shown:
        console.print(screen(now, pulses))
    assert "handled/s" in shown.get()
