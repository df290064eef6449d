"""Runs faults: load, one fault, drain, compare; again."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx

from deploy.audit import audit
from deploy.stack.state import StackFolder
from tests.faults import judging
from tests.faults.fleet import Fleet, a_fleet
from tests.faults.judging import Verdict
from tests.faults.purchases import Catalogue, Purchase
from tests.faults.results import Result
from tests.faults.scene import APART, Fault, Scene, Skipped
from tests.faults.servers import Servers
from tests.faults.shoppers import IN_FAULT, Shoppers
from tests.faults.witness import a_witness

REPLICAS = 2
STOCK = 1_000_000
CLOCKS = timedelta(hours=2)
"""When all has come to rest every order is judged, also one that a service with a wrong clock spoke of."""

UNREACHABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, httpx.HTTPError, TimeoutError)

Say = Callable[[str], None]


@asynccontextmanager
async def a_scene(folder: StackFolder, addresses: Mapping[str, Any], seed: int, *, is_brief: bool) -> AsyncIterator[Scene]:
    """The stack of the folder, which is up, with several replicas, shoppers and a witness."""
    async with (
        a_fleet(folder, addresses, REPLICAS) as fleet,
        a_scene_of(fleet, folder, addresses, seed, is_brief=is_brief, shops=[each.url for each in fleet.of("orders")]) as scene,
    ):
        yield scene


@asynccontextmanager
async def a_scene_of(
    fleet: Fleet, folder: StackFolder, addresses: Mapping[str, Any], seed: int, *, is_brief: bool, shops: list[str]
) -> AsyncIterator[Scene]:
    """The same with these processes. `shops`: where orders are placed."""
    servers = Servers(folder, addresses)
    chance = random.Random(seed)
    catalogue = Catalogue(uuid4().hex[:8])
    async with (
        a_witness(servers.rabbitmq_url) as witness,
        httpx.AsyncClient(base_url=addresses["sandbox"]["url"], trust_env=False, timeout=30) as sandbox,
    ):
        shoppers = Shoppers(shops, addresses["token"], servers.rabbitmq_url, catalogue, chance)
        try:
            await shoppers.sell(fleet.of("inventory")[0].url, {catalogue.skus["plenty"]: STOCK, catalogue.skus["none"]: 0})
            yield Scene(fleet, servers, shoppers, witness, sandbox, chance, is_brief)
        finally:
            await shoppers.close()


class Run:
    """Faults on one scene. What has been found wrong once is not found again with the next fault."""

    def __init__(self, scene: Scene, say: Say, patience: float = 90) -> None:
        self._scene = scene
        self._say = say
        self._patience = patience
        self._known: set[str] = set()

    async def each(self, faults: Sequence[Fault]) -> list[Result]:
        """One after the other, each with its own drain and judgement."""
        results = []
        for fault in faults:
            async with self._following():
                result = await self._inject(fault)
                await self._settle([result])
            results.append(result)
        return results

    async def together(self, faults: Sequence[Fault]) -> list[Result]:
        """One after the other on the move, beside those that take long and hurt few; the load is drained, and all are
        judged, when the last is over."""
        async with self._following():
            beside = [asyncio.create_task(self._inject(fault)) for fault in faults if fault.group == APART]
            results = [await self._inject(fault) for fault in faults if fault.group != APART]
            results += await asyncio.gather(*beside)
            await self._settle(results)
        return results

    @asynccontextmanager
    async def _following(self) -> AsyncIterator[None]:
        """In the block each purchase is followed to its end, as far as Postgres can be asked."""
        task = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            with suppress(*UNREACHABLE):
                await self._note_ends(self._scene.shoppers.made[self._scene.judged :])
            await asyncio.sleep(0.3)

    async def _inject(self, fault: Fault) -> Result:
        scene, result = self._scene, Result(fault.name)
        begun = time.monotonic()
        self._say(f"{fault.name}: {fault.sentence}")
        IN_FAULT.set(fault.name)
        load = asyncio.create_task(scene.shoppers.go_on(scene.long(0.5, 1) * fault.rate, fault.ends))
        try:
            await scene.some_time(2, 5 if fault.rate else 0)
            result.injections = await fault.inject(scene)
        except Skipped as skipped:
            result.skipped = str(skipped)
        except Exception as error:
            result.violations.append(f"the fault could not be carried out: {error!r}")
        finally:
            if fault.group != APART:
                scene.fleet.restore_network(scene.apart)
            await scene.some_time(2, 20 if fault.rate else 0)
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
        result.violations += scene.notes
        scene.notes.clear()
        result.recovery_seconds = -time.monotonic()
        self._say(f"  {fault.name} is over after {time.monotonic() - begun:.1f} s")
        return result

    async def _settle(self, results: Sequence[Result]) -> None:
        """Drain, and judge what was bought since the last time."""
        scene = self._scene
        purchases = scene.shoppers.made[scene.judged :]
        scene.judged = len(scene.shoppers.made)
        slow = await self._drain(purchases)
        verdict, extra = await self._judge(purchases)
        for result in results:
            mine = [purchase for purchase in purchases if purchase.fault == result.name]
            self._fill(result, mine, verdict)
        loose = [line for line in [*slow, *extra] if line not in self._known]
        self._known |= set(loose)
        for line in loose:
            self._blame(line, results)
        for result in results:
            self._say_result(result)

    def _fill(self, result: Result, mine: Sequence[Purchase], verdict: Verdict) -> None:
        ids = {purchase.order_id or purchase.reference for purchase in mine}
        result.orders = len(mine)
        result.lost, result.doubled, result.stuck = (
            len(bucket & ids) for bucket in (verdict.lost, verdict.doubled, verdict.stuck)
        )
        result.violations += [line for line in verdict.violations if line.split()[1].rstrip(":") in ids]
        ends = [purchase.ended_at for purchase in mine if purchase.ended_at is not None]
        healed = -result.recovery_seconds
        result.recovery_seconds = round(max([end - healed for end in ends if end > healed], default=0.0), 2)

    @staticmethod
    def _blame(line: str, results: Sequence[Result]) -> None:
        """What names no order of a fault's own is laid to the last fault, and says that it may be another's."""
        among = "" if len(results) == 1 else " (or of those before it)"
        results[-1].violations.append(line + among)

    def _say_result(self, result: Result) -> None:
        if result.skipped:
            self._say(f"  {result.name} skipped: {result.skipped}")
            return
        numbers = f"lost {result.lost}, doubled {result.doubled}, stuck {result.stuck}"
        self._say(f"  {result.name}: {result.injections} × on {result.orders} orders; {numbers}; {result.recovery_seconds} s")
        for line in result.violations[:10]:
            self._say(f"    {line}")

    async def _drain(self, purchases: Sequence[Purchase]) -> list[str]:
        """Until every purchase has come to its end, everybody hears his queues, and nothing waits; else what does."""
        scene = self._scene
        deadline = time.monotonic() + self._patience
        waiting: list[str] = ["nobody has looked"]
        while time.monotonic() < deadline:
            try:
                waiting = await self._waiting(purchases)
            except UNREACHABLE as error:
                waiting = [f"it cannot be looked at: {error!r}"]
            if not waiting:
                break
            await asyncio.sleep(0.1)
        return [line for line in waiting if not line.startswith("order ")] + self._odd(scene)

    @staticmethod
    def _odd(scene: Scene) -> list[str]:
        odd, scene.shoppers.odd_answers = scene.shoppers.odd_answers, []
        return odd

    async def _note_ends(self, purchases: Sequence[Purchase]) -> list[str]:
        """Which of them have come to their end by now; gives what else waits."""
        open_ones = [purchase for purchase in purchases if purchase.ended_at is None]
        partners = await self._scene.books()
        async with self._scene.servers.connection() as connection:
            books = await judging.read_books(connection, partners, open_ones)
            work = await judging.what_waits(connection)
        for purchase in open_ones:
            ended = judging.end_of(purchase, books) if purchase.acknowledged_at or purchase.ended else None
            if ended is not None and (ended != "shipped" or self._scene.witness.said(str(purchase.order_id), "tracking.pushed")):
                purchase.ended, purchase.ended_at = ended, time.monotonic()
        return work

    async def _waiting(self, purchases: Sequence[Purchase]) -> list[str]:
        work = await self._note_ends(purchases)
        missing = [f"order {purchase.order_id}" for purchase in purchases if purchase.ended_at is None]
        if missing or work:
            return missing + work
        hearers = await self._scene.servers.consumers()
        deaf = [f"{queue} is heard by {count}" for queue, count in hearers.items() if count != self._expected(queue)]
        return deaf[:3]

    def _expected(self, queue: str) -> int:
        return len(self._scene.fleet.of(queue.partition(".")[0]))

    async def _judge(self, purchases: Sequence[Purchase]) -> tuple[Verdict, list[str]]:
        """The audit gets a moment: what has come to its end may still be being noted somewhere."""
        url = self._scene.servers.postgres_url
        for attempt in range(1, 11):
            partners = await self._scene.books()
            async with self._scene.servers.connection() as connection:
                books = await judging.read_books(connection, partners, purchases)
                placed = await connection.fetch("SELECT id FROM orders.orders WHERE placed IS NOT NULL")
                known = await connection.fetch("SELECT waybill, order_id FROM logistics.shipment WHERE waybill IS NOT NULL")
            verdict = judging.judge(purchases, books, self._scene.witness)
            report = await audit(url, -CLOCKS)
            extra = [f"audit, {check.name}: {line}" for check in report.checks for line in check.violations]
            extra += judging.judge_waybills(books, known)
            extra += judging.judge_strangers([row["id"] for row in placed], self._scene.shoppers.made)
            if attempt == 10 or (verdict.ok and not [line for line in extra if line not in self._known]):
                break
            await asyncio.sleep(0.5)
        return verdict, extra
