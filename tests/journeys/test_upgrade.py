"""From the previous release to this one, under load: neither the schema nor the bus nor the other's word disturbs either."""

import asyncio
import os
import random
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from deploy.stack import credentials, processes, stack
from deploy.stack.credentials import SERVICES
from deploy.stack.servers import Servers
from deploy.stack.state import CHECKOUT, StackFolder, open_folder
from tests import previous_release
from tests.faults.fleet import THIS, Release, Replica, the_fleet
from tests.faults.proxy import Link
from tests.faults.running import Run, a_scene_of
from tests.faults.scene import Fault, Scene
from tests.journeys.conftest import an_installation
from tests.plain_http import PLAIN

pytestmark = pytest.mark.timeout(240)

HANDLED = "orderbus_events_handled_total{"

TABLES = """
    SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
       AND relname <> 'migration' ORDER BY relname
"""


@pytest.fixture
def old(tmp_path: Path) -> Release:
    """The previous release's code."""
    checkout = tmp_path / "old"
    return Release(checkout, previous_release.unpack(checkout))


@pytest.fixture
def installation(servers: Servers) -> Iterator[None]:
    """A database and a vhost of its own."""
    with an_installation(servers, f"upgrade_{uuid4().hex[:8]}"):
        yield


@pytest.fixture
async def gateway(installation: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Link]]:
    """The addresses that shoppers and partners know, by service: whichever process is behind them."""
    links = {service: Link("127.0.0.1", 0) for service in SERVICES}
    for link in links.values():
        await link.open()
    monkeypatch.setenv("ORDERBUS_SANDBOX_STRIPE_WEBHOOK_URL", f"http://127.0.0.1:{links['payments'].port}/api/webhooks/stripe")
    monkeypatch.setenv("ORDERBUS_SANDBOX_DHL_WEBHOOK_URL", f"http://127.0.0.1:{links['logistics'].port}/api/webhooks/dhl")
    yield links
    for link in links.values():
        await link.close()


@pytest.fixture
async def up(old: Release, gateway: dict[str, Link]) -> AsyncIterator[tuple[StackFolder, dict[str, Any]]]:
    """A stack as the previous release makes it: its schemas, its queues, its processes; but today's partners."""
    folder = open_folder(old.checkout / ".orderbus")
    try:
        await asyncio.to_thread(run, old, "deploy.cli", "up")
        addresses = folder.read(stack.FILE)
        await replace_partners(folder, addresses["sandbox"]["url"])
        yield folder, addresses
    finally:
        await asyncio.to_thread(stack.down, folder=folder)


@pytest.fixture
async def scene(up: tuple[StackFolder, dict[str, Any]], old: Release, gateway: dict[str, Link]) -> AsyncIterator[Scene]:
    """Its processes behind the gateway, and shoppers."""
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    folder, addresses = up
    async with the_fleet(folder, addresses, old) as fleet:
        lead_to(gateway, fleet.replicas)
        shop = f"http://127.0.0.1:{gateway['orders'].port}"
        async with a_scene_of(fleet, folder, addresses, seed, is_brief=True, shops=[shop]) as scene:
            yield scene


async def test_the_release_before_is_replaced_under_load_and_nobody_notices(
    scene: Scene, up: tuple[StackFolder, dict[str, Any]], gateway: dict[str, Link], tmp_path: Path
) -> None:
    fleet, new = scene.fleet, await a_release_with_a_larger_schema(tmp_path / "new", scene)

    async def upgrade(scene: Scene) -> int:
        """The schema first, then the processes, one after the other."""
        old = list(fleet.replicas)
        await asyncio.to_thread(prepare, new, *up)
        await orders_end(scene)  # the old alone, on the new schema
        beside = [fleet.beside(replica, new) for replica in old]
        await fleet.ready(beside)
        lead_to(gateway, beside)
        await all_have_work(fleet.replicas)
        await orders_end(scene)  # the old and the new beside each other
        for replica in old:
            await fleet.retire(replica)
        await orders_end(scene)
        return len(old)

    (result,) = await Run(scene, print).together([Fault("upgrade", "", "", upgrade, frozenset(), rate=8, is_random=False)])

    assert result.violations == []
    assert {replica.release for replica in fleet.replicas} == {new}
    assert fleet.deaths == 0
    assert scene.shoppers.turned_away == 0
    assert [letter for service in SERVICES for letter in await open_letters(scene, service)] == []


async def replace_partners(folder: StackFolder, url: str) -> None:
    """The sandbox of this version, told the same: partners do not wait for an upgrade, and know both releases' ways to ask."""
    known = processes.recorded(folder, "sandbox")
    assert known is not None, "the sandbox does not run"
    told = psutil.Process(known.pid).environ() | {"PYTHONPATH": str(THIS.checkout)}
    await asyncio.to_thread(processes.stop, folder, ["sandbox"])
    command = [str(THIS.python), "-P", "-m", "deploy.sandbox"]
    processes.spawn(folder, "sandbox", command, environment=told, directory=THIS.checkout)
    async with httpx.AsyncClient(verify=PLAIN, trust_env=False, timeout=3) as client, asyncio.timeout(30):
        while not await answers(client, f"{url}/health/ready"):
            await asyncio.sleep(0.1)


async def answers(client: httpx.AsyncClient, url: str) -> bool:
    """Whether somebody says there that he is ready."""
    try:
        return (await client.get(url)).status_code == 200
    except httpx.TransportError:
        return False


def lead_to(gateway: dict[str, Link], replicas: Iterable[Replica]) -> None:
    """Whoever connects from now on reaches these."""
    for replica in replicas:
        gateway[replica.service].lead_to(replica.port)


async def a_release_with_a_larger_schema(checkout: Path, scene: Scene) -> Release:
    """This version, and in every table two columns more than it knows of: so there is always something to migrate."""
    for folder in ("shared", "services", "deploy"):
        shutil.copytree(CHECKOUT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for service in SERVICES:
        for (table,) in await scene.servers.fetch(TABLES, service):
            (checkout / f"services/{service}/migrations/9999_{table}.sql").write_text(
                f"ALTER TABLE {table} ADD COLUMN more text, ADD COLUMN constant integer NOT NULL DEFAULT 0;"
            )
    return Release(checkout, THIS.python)


def prepare(release: Release, folder: StackFolder, addresses: dict[str, Any]) -> None:
    """As docs/how-to/upgrade.md says."""
    secrets = credentials.keep(folder)
    passwords = {f"ORDERBUS_{name.upper()}_DB_PASSWORD": secret for name, secret in secrets.role_passwords.items()}
    passwords |= {f"ORDERBUS_{name.upper()}_BUS_PASSWORD": secret for name, secret in secrets.bus_passwords.items()}
    run(release, "deploy.prepare", **passwords, ORDERBUS_POSTGRES_URL=addresses["postgres"]["superuser_url"])


async def orders_end(scene: Scene, count: int = 10, patience: float = 60) -> None:
    """Returns when so many of those that come from now on have come to their end. Raises TimeoutError."""
    before = len(scene.shoppers.made)
    async with asyncio.timeout(patience):
        while sum(purchase.ended is not None for purchase in scene.shoppers.made[before:]) < count:
            await asyncio.sleep(0.1)


async def all_have_work(replicas: Iterable[Replica], patience: float = 60) -> None:
    """Returns when each process has handled events since. Raises TimeoutError."""
    before = {replica.name: await handled(replica) for replica in replicas}
    async with asyncio.timeout(patience):
        for replica in replicas:
            while await handled(replica) <= before[replica.name]:
                await asyncio.sleep(0.1)


async def handled(replica: Replica) -> float:
    """How many events a process has handled."""
    async with httpx.AsyncClient(verify=PLAIN, trust_env=False, timeout=10) as client:
        lines = (await client.get(f"{replica.url}/metrics")).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(HANDLED))


async def open_letters(scene: Scene, service: str) -> list[dict[str, Any]]:
    """What could not be handled."""
    query = f"SELECT event_type, state, reason FROM {service}.dead_letter WHERE closed_at IS NULL"
    return [dict(row) for row in await scene.servers.fetch(query)]


def run(release: Release, module: str, *arguments: str, **environment: str) -> None:
    """One of its commands, to its end."""
    command = [str(release.python), "-P", "-m", module, *arguments]
    told = {**os.environ, "PYTHONPATH": str(release.checkout), **environment}
    answer = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
