"""Clocks that are wrong, and everybody at once."""

import asyncio
import os
import sys
from functools import partial
from pathlib import Path

from deploy.stack import packages
from deploy.stack.credentials import SERVICES
from tests.faults.purchases import CANCELLED, SHIPPED, Kind
from tests.faults.scene import Scene, Skipped, fault

LIBRARIES = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/lib*/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
)

PIECES = 7
BUYERS = 200


@fault("services")
async def clock_off(scene: Scene) -> int:
    """The clock of one process of each service is an hour ahead of the others, or an hour behind them."""
    library = _found_faketime()
    if library is None:
        library = await asyncio.to_thread(_installed_faketime)
    services = scene.chance.sample(SERVICES, 2) if scene.is_brief else SERVICES
    going = [scene.fleet.of(service)[-1] for service in services]
    ahead_and_behind = [("+1h", "-1h", "-1h", "+1h"), ("-1h", "+1h", "+1h", "-1h")]
    rounds = ahead_and_behind[:1] if scene.is_brief else ahead_and_behind
    for offsets in rounds:
        clocks = zip(going, offsets, strict=False)
        await asyncio.gather(*(scene.fleet.restart(each, **_clock(library, offset)) for each, offset in clocks))
        await scene.fleet.ready(going)
        await scene.some_time(int(scene.long(12, 60)), scene.long(8, 60))
    await asyncio.gather(*(scene.fleet.restart(replica) for replica in going))
    await scene.fleet.ready(going)
    return len(rounds) * len(going)


@fault("services", rate=2)
async def hot_article(scene: Scene) -> int:
    """Two hundred buyers at the same moment, and a few pieces: as many orders are shipped as there were pieces."""
    sku = f"F-{scene.catalogue.run}-HOT-{len(scene.shoppers.made)}"
    await scene.shoppers.sell(scene.fleet.of("inventory")[0].url, {sku: PIECES})
    kind = Kind("hot article", SHIPPED | CANCELLED, channel="invoice", token=None)
    purchases = [scene.catalogue.purchase(kind) for _ in range(BUYERS)]
    for purchase in purchases:
        purchase.sku = sku
    scene.shoppers.buy(*purchases)
    await scene.shoppers.acknowledged(purchases)

    async def are_over() -> bool:
        ends = await scene.status(purchases)
        return len(ends) == BUYERS and set(ends.values()) <= {"shipped", "cancelled"}

    if await scene.until(are_over, 60, "some buyers of the hot article were told nothing"):
        shipped = list((await scene.status(purchases)).values()).count("shipped")
        if shipped != PIECES:
            scene.notes.append(f"{shipped} of {PIECES} pieces were sold to {BUYERS} buyers")
    return BUYERS


def _clock(library: str, offset: str) -> dict[str, str]:
    return {"LD_PRELOAD": library, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}


def _found_faketime() -> str | None:
    for pattern in LIBRARIES:
        for found in sorted(Path("/").glob(pattern.lstrip("/"))):
            if os.access(found, os.R_OK):
                return str(found)
    return None


def _installed_faketime() -> str:
    if packages.can_install():
        packages.install_packages(["faketime"], partial(print, file=sys.stderr))  # standard output is for --json
        if library := _found_faketime():
            return library
    raise Skipped("libfaketime is not installed; Debian, Ubuntu: apt-get install faketime")
