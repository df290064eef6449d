"""Services that die, hang, or are told to go."""

import asyncio
import signal
from collections.abc import Sequence

import httpx

from deploy.stack.credentials import SERVICES
from tests.faults.fleet import Replica
from tests.faults.purchases import CANCELLED
from tests.faults.scene import Scene, fault

DRAINED_WITHIN = 15.0
"""Seconds in which a process that is told to go must have gone."""

DUPLICATES = "orderbus_events_handled_total{"

RESERVATION_LIFE = 3
LONGER_THAN_A_LEASE = 5.5
"""A lease lasts four times a partner's time-out, which the suite has set to a second."""


@fault("services")
async def kill_service(scene: Scene) -> int:
    """SIGKILL to processes of each service, at any moment."""
    struck = 0
    for service in SERVICES:
        for replica in [scene.a_replica(service)] if scene.is_brief else scene.fleet.of(service):
            await asyncio.sleep(scene.chance.uniform(0, 0.3))
            replica.signal(signal.SIGKILL)
            struck += 1
    await scene.some_time(2)
    await scene.fleet.ready()
    return struck


@fault("services", ends=CANCELLED)
async def pause_service(scene: Scene) -> int:
    """SIGSTOP for longer than a lease and than stock stays set aside, then SIGCONT: it goes on as if nothing had been."""
    inventory = scene.fleet.of("inventory")[: int(scene.long(1, 2))]
    await _restart(scene, inventory, ORDERBUS_INVENTORY_RESERVATION_TTL=str(RESERVATION_LIFE))
    await scene.some_time(2)
    payments = scene.fleet.of("payments")
    spells = [[*payments, scene.a_replica("logistics")]]
    if not scene.is_brief:
        spells += [[scene.a_replica(service)] for service in SERVICES] + [scene.fleet.of("logistics"), inventory]
    for paused in spells:
        for replica in paused:
            replica.signal(signal.SIGSTOP)
        await asyncio.sleep(LONGER_THAN_A_LEASE)  # the time is the fault
        for replica in paused:
            replica.signal(signal.SIGCONT)
        await scene.some_time(2)
    await _restart(scene, inventory)
    return sum(map(len, spells))


@fault("services")
async def rolling_restart(scene: Scene) -> int:
    """Each process is stopped politely and started again, one of each service at a time."""
    rows = list(zip(*(scene.fleet.of(service) for service in SERVICES), strict=True))
    rows = [tuple(scene.chance.sample(rows[-1], 2))] if scene.is_brief else rows
    for row in rows:
        await _restart(scene, row)
        await scene.some_time(2)
    return sum(map(len, rows))


@fault("services", rate=15)
async def graceful_stop(scene: Scene) -> int:
    """SIGTERM under load: what is in hand is finished, in bounded time, and what was handled is not delivered again."""
    going = [scene.a_replica(service) for service in SERVICES]
    staying = [replica for replica in scene.fleet.replicas if replica not in going]
    before = await _heard_again(staying)
    took = await asyncio.gather(*(scene.fleet.stop(replica, patience=60) for replica in going))
    for replica, seconds in zip(going, took, strict=True):
        if seconds > DRAINED_WITHIN:
            scene.notes.append(f"{replica.name} took {seconds:.1f} s to end after SIGTERM, more than {DRAINED_WITHIN:.0f}")
    await scene.some_time(2)
    if again := await _heard_again(staying) - before:
        scene.notes.append(f"{again} events were delivered again although they had been handled")
    for replica in going:
        scene.fleet.start(replica)
    await scene.fleet.ready(going)
    return len(going)


async def _heard_again(replicas: list[Replica]) -> int:
    """How many events these processes were brought that had been handled before."""
    lines: list[str] = []
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        for replica in replicas:
            lines += (await client.get(f"{replica.url}/metrics")).text.splitlines()
    counts = [line for line in lines if line.startswith(DUPLICATES) and 'outcome="duplicate"' in line]
    return sum(int(float(line.split()[-1])) for line in counts)


async def _restart(scene: Scene, replicas: Sequence[Replica], **extra: str) -> None:
    await asyncio.gather(*(scene.fleet.restart(replica, **extra) for replica in replicas))
    await scene.fleet.ready(replicas)
