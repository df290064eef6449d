"""What a fault may lay its hands on."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.faults.fleet import Fleet, Replica
from tests.faults.proxy import Link
from tests.faults.purchases import Catalogue, Kind, Purchase
from tests.faults.servers import Servers
from tests.faults.shoppers import Shoppers
from tests.faults.witness import Witness


@dataclass(slots=True)
class Scene:
    """One stack under load. `is_brief`: as long as it takes to happen, and no longer."""

    fleet: Fleet
    servers: Servers
    shoppers: Shoppers
    witness: Witness
    sandbox: httpx.AsyncClient
    chance: random.Random
    is_brief: bool
    notes: list[str] = field(default_factory=list)
    """What a fault itself found wrong."""

    judged: int = 0
    """So many of what was bought have been judged, whatever became of them: nobody follows those any more."""

    apart: set[Link] = field(default_factory=set)
    """Links that a fault beside the others has its hands on."""

    @property
    def catalogue(self) -> Catalogue:
        return self.shoppers.catalogue

    def long(self, brief: float, otherwise: float) -> float:
        """Seconds, or a number, by how thorough the run is."""
        return brief if self.is_brief else otherwise

    def a_replica(self, service: str | None = None) -> Replica:
        """Any."""
        return self.chance.choice(self.fleet.of(service) if service else self.fleet.replicas)

    def buy(self, kind: Kind, count: int = 1, ends: frozenset[str] = frozenset()) -> list[Purchase]:
        """Purchases that the fault needs."""
        purchases = [self.catalogue.purchase(kind, ends=ends) for _ in range(count)]
        self.shoppers.buy(*purchases)
        return purchases

    async def books(self) -> dict[str, Any]:
        """The partners' own."""
        return dict((await self.sandbox.get("/sandbox/ledger")).json())

    async def status(self, purchases: Iterable[Purchase]) -> dict[str, str]:
        """Of those that orders knows, by order."""
        ids = [purchase.order_id for purchase in purchases if purchase.order_id]
        rows = await self.servers.fetch("SELECT id, status FROM orders.orders WHERE id = any($1) AND placed IS NOT NULL", ids)
        return {row["id"]: row["status"] for row in rows}

    async def some_time(self, purchases: int = 3, seconds: float = 8.0) -> None:
        """Until a few more purchases have been begun and acknowledged while the fault lasts; no longer than so."""
        before = len(self.shoppers.made)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            new = self.shoppers.made[before:]
            if sum(purchase.acknowledged_at is not None for purchase in new) >= purchases:
                return
            await asyncio.sleep(0.05)

    async def at_rest(self, patience: float = 60) -> None:
        """Returns when whatever was bought so far, and not judged yet, has come to its end. Raises TimeoutError."""
        async with asyncio.timeout(patience):
            while any(purchase.ended is None for purchase in self.shoppers.made[self.judged :]):
                await asyncio.sleep(0.1)

    async def until(self, condition: Callable[[], Awaitable[bool]], seconds: float, otherwise: str) -> bool:
        """Whether it came true; if not, it is noted as a violation."""
        deadline = time.monotonic() + seconds
        while not await condition():
            if time.monotonic() > deadline:
                self.notes.append(otherwise)
                return False
            await asyncio.sleep(0.1)
        return True


class Skipped(Exception):
    """This machine cannot make the fault; the message says what it lacks."""


Inject = Callable[[Scene], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: its name is that of its function, and so is its sentence. `ends`: how good orders may end beside well."""

    name: str
    sentence: str
    group: str
    inject: Inject
    ends: frozenset[str]
    rate: float
    is_random: bool


APART = "apart"
"""The group of those that take long and hurt few: they go on beside others."""

CATALOGUE: dict[str, Fault] = {}


def fault(group: str, *, ends: Iterable[str] = (), rate: float = 8.0, is_random: bool = True) -> Callable[[Inject], Inject]:
    """Add the function to the catalogue. It returns how often it struck. `rate`: orders a second meanwhile; `is_random`:
    it may also come when nobody expects it."""

    def add(inject: Inject) -> Inject:
        name = inject.__name__
        sentence = " ".join((inject.__doc__ or "").split())
        CATALOGUE[name] = Fault(name, sentence, group, inject, frozenset(ends), rate, is_random)
        return inject

    return add
