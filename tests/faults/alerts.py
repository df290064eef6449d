"""`python -m tests.faults.alerts`: does each alert of the shipped rules fire, reach a pager, and end when its reason does?"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import httpx
import typer
import uvloop

from deploy.stack import processes
from deploy.stack.state import StackFolder
from tests.faults import suite
from tests.faults.fleet import THIS, the_fleet
from tests.faults.provocations import PROVOCATIONS, TOLD, Provocation, Stage, going_on, prepare
from tests.faults.running import a_scene_of
from tests.faults.watching import Watches, a_watch, is_slow, shipped

RATE = 2.0
LOOKS_AT_ORDERS = 8.0
"""Orders bought, and looked at, a second, beside what a provocation needs."""

SECONDS_TO_FIRE = 20 * 60
SECONDS_TO_END = 45 * 60
AT_LEAST = 180
"""Seconds that no pace shortens: what the services themselves call late is a minute late."""

AT_LEAST_SLOW = 12 * 60
"""The same, for what is watched at a pace of its own."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """One alert. Seconds from the fault's beginning until Prometheus said that it fires and the pager knew, and from the
    fault's end until it was over for both."""

    alert: str
    fault: str
    fired_after: float | None = None
    resolved_after: float | None = None
    failure: str = ""

    @property
    def ok(self) -> bool:
        return self.fired_after is not None and self.resolved_after is not None and not self.failure

    def __str__(self) -> str:
        fired, resolved = (
            "never" if seconds is None else f"{seconds:.0f} s" for seconds in (self.fired_after, self.resolved_after)
        )
        return f"{self.alert:<28} {self.fault:<32} fired {fired:>8}   resolved {resolved:>8}   {self.failure}".rstrip()


def unprovoked() -> list[str]:
    """Alerts of the shipped rules that nothing here makes fire."""
    return sorted(shipped().keys() - {alert for provocation in PROVOCATIONS for alert in provocation.alerts})


def provocations(only: Sequence[str] = ()) -> list[Provocation]:
    """Those of the alerts named, or all. Raises LookupError."""
    if unknown := sorted(set(only) - shipped().keys()):
        raise LookupError(f"no such alert: {', '.join(unknown)}; there are: {', '.join(shipped())}")
    return [each for each in PROVOCATIONS if not only or set(only) & set(each.alerts)]


class Run:
    """Provokes alerts on one stage, those that do not disturb each other at the same time."""

    def __init__(self, stage: Stage, watches: Watches, chosen: Sequence[Provocation], pace: float, say: Say) -> None:
        self._stage = stage
        self._watches = watches
        self._chosen = chosen
        self._pace = pace
        self._say = say
        self._lanes = {provocation.lane: asyncio.Lock() for provocation in chosen}
        self._over = {provocation.name: asyncio.Event() for provocation in chosen}
        self._alone = asyncio.Lock()
        self._hushed = 0

    async def all(self, only: Sequence[str] = ()) -> list[Outcome]:
        """One outcome for each alert, and said as soon as it is known."""
        async with going_on(self._buy_on, self._look_on):
            outcomes = await asyncio.gather(*(self._each(provocation, only) for provocation in self._chosen))
        return [outcome for of_one in outcomes for outcome in of_one]

    async def _buy_on(self) -> None:
        """Usual purchases."""
        scene = self._stage.scene
        while True:
            await asyncio.sleep(scene.chance.expovariate(RATE))
            if not self._hushed:
                scene.shoppers.buy(scene.catalogue.usual(scene.chance))

    async def _look_on(self) -> None:
        """Shoppers look at an order oftener than they buy."""
        stage = self._stage
        while True:
            await asyncio.sleep(1 / LOOKS_AT_ORDERS)
            if not self._hushed:
                with suppress(httpx.HTTPError):
                    await stage.client.get(f"{stage.url('orders')}/api/orders/{stage.wanted.delivered}")

    async def _each(self, provocation: Provocation, only: Sequence[str]) -> list[Outcome]:
        outcomes = [Outcome(alert, provocation.name) for alert in provocation.alerts if not only or alert in only]
        ended = time.monotonic()
        try:
            async with self._turn(provocation):
                begun = time.monotonic()
                self._say(f"  {provocation.name} begins: {provocation.sentence}")
                async with provocation.provoke(self._stage):
                    await asyncio.gather(*(self._sees_fire(outcome, begun) for outcome in outcomes))
                ended = time.monotonic()
                self._say(f"  {provocation.name} is over after {ended - begun:.0f} s")
        except Exception as error:
            for outcome in outcomes:
                outcome.failure = f"the fault could not be carried out: {error!r}"
        await asyncio.gather(*(self._sees_end(outcome, ended) for outcome in outcomes))
        return outcomes

    @asynccontextmanager
    async def _turn(self, provocation: Provocation) -> AsyncIterator[None]:
        """When nobody is disturbed by it, and its alerts are quiet."""
        try:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self._lanes[provocation.lane])
                if provocation.alone:
                    others = [each for each in self._chosen if not each.alone and not each.is_robust]
                    await asyncio.gather(*(self._over[each.name].wait() for each in others))
                    await stack.enter_async_context(self._alone)
                await asyncio.gather(*(self._until_quiet(alert) for alert in provocation.alerts))
                if provocation.hushes:
                    stack.enter_context(self._hush())
                if provocation.alone:  # what is late because of it would keep other alerts firing for half an hour
                    await self._stage.at_rest()
                yield
        finally:
            self._over[provocation.name].set()

    @contextmanager
    def _hush(self) -> Iterator[None]:
        self._hushed += 1
        try:
            yield
        finally:
            self._hushed -= 1

    async def _until_quiet(self, alert: str) -> None:
        async with asyncio.timeout(self._patience(alert, SECONDS_TO_END)):
            while not self._watches.of(alert).is_quiet(alert):
                await asyncio.sleep(0.2)

    async def _sees_fire(self, outcome: Outcome, begun: float) -> None:
        watch = self._watches.of(outcome.alert)
        try:
            async with asyncio.timeout(self._patience(outcome.alert, SECONDS_TO_FIRE)):
                while not watch.fires(outcome.alert):
                    await asyncio.sleep(0.1)
            outcome.fired_after = time.monotonic() - begun
        except TimeoutError:
            outcome.failure = f"did not fire (at Prometheus: {outcome.alert in watch.firing})"

    async def _sees_end(self, outcome: Outcome, ended: float) -> None:
        try:
            if outcome.fired_after is not None:
                await self._until_quiet(outcome.alert)
                outcome.resolved_after = time.monotonic() - ended
        except TimeoutError:
            outcome.failure = f"is not over (at Prometheus: {outcome.alert in self._watches.of(outcome.alert).firing})"
        self._say(str(outcome))

    def _patience(self, alert: str, seconds: float) -> float:
        return max(AT_LEAST_SLOW if is_slow(alert) else 0, seconds / self._pace + AT_LEAST)


@contextmanager
def an_observed_stack(say: Say) -> Iterator[tuple[StackFolder, dict[str, Any]]]:
    """One for a stage."""
    with suite.a_stack(say, observed=True, told=TOLD) as stack:
        yield stack


@asynccontextmanager
async def a_stage(
    folder: StackFolder, addresses: Mapping[str, Any], pace: float, seed: int = 6
) -> AsyncIterator[tuple[Stage, Watches]]:
    """The stack of the folder, which is up, with shoppers, the orders that provocations need, and who watches."""
    auditor = processes.recorded(folder, "audit")
    assert auditor is not None, "nobody audits"
    headers = {"authorization": f"Bearer {addresses['token']}"}
    async with (
        the_fleet(folder, addresses, THIS) as fleet,
        a_scene_of(fleet, folder, addresses, seed, is_brief=True, shops=[addresses["services"]["orders"]["url"]]) as scene,
        httpx.AsyncClient(headers=headers, trust_env=False, timeout=30) as client,
    ):
        wanted = await prepare(scene)
        async with a_watch(folder, addresses, pace) as watches:
            yield Stage(scene, wanted, watches.usual, client, auditor.pid), watches


async def provoke(folder: StackFolder, addresses: Mapping[str, Any], only: Sequence[str], pace: float, say: Say) -> list[Outcome]:
    """Each of the alerts, or all, on the stack of the folder. `pace`: how much faster than shipped time goes for the rules."""
    async with a_stage(folder, addresses, pace) as (stage, watches):
        return await Run(stage, watches, provocations(only), pace, say).all(only)


def main(
    only: Annotated[list[str] | None, typer.Option(help="Only this alert; may be given several times.")] = None,
    pace: Annotated[float, typer.Option(help="Divide each duration of the rules by this.", min=1)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, last.")] = False,
) -> None:
    """Provoke each alert of the shipped rules on a stack of its own, under light load. Exit 0 only if each of them was seen to
    fire at Prometheus and told to a pager by Alertmanager, and was over for both when its reason was.
    """
    from deploy.cli.telling import explaining_trouble
    from deploy.stack.undoing import ended_like_interrupted

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {line}", file=sys.stderr if as_json else sys.stdout, flush=True)

    begun, wanted = time.monotonic(), only or []
    try:
        provocations(wanted)
    except LookupError as error:
        raise typer.BadParameter(str(error)) from None
    with explaining_trouble(), ended_like_interrupted(), an_observed_stack(say) as (folder, addresses):
        outcomes = uvloop.run(provoke(folder, addresses, wanted, pace, say))
    missing = [] if wanted else unprovoked()
    ok = bool(outcomes) and not missing and all(outcome.ok for outcome in outcomes)
    say("")
    for outcome in outcomes:
        say(str(outcome))
    for alert in missing:
        say(f"{alert:<28} nothing provokes it")
    say(f"{sum(outcome.ok for outcome in outcomes)} of {len(outcomes) + len(missing)} alerts fired and resolved")
    if as_json:
        print(json.dumps({"ok": ok, "alerts": [asdict(each) for each in outcomes], "unprovoked": missing}), flush=True)
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    typer.run(main)
