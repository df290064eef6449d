"""The services as they run in production: several processes of each, and somebody who starts again whatever ends. Every
connection of theirs goes through a link of its own."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from deploy.stack import ports, processes
from deploy.stack.credentials import SERVICES
from deploy.stack.processes import Process
from deploy.stack.state import CHECKOUT, StackFolder
from tests.faults.proxy import Link
from tests.plain_http import PLAIN

SERVERS = ("postgres", "rabbitmq", "redis", "sandbox")

HASTE = {"ORDERBUS_PARTNER_TIMEOUT": "1", "ORDERBUS_COMMAND_TIMEOUT": "10", "ORDERBUS_LOG_LEVEL": "INFO"}
"""Partners are given up after a second instead of five, and their leases end in proportion."""

PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Release:
    """The code that a process runs, and the Python that runs it."""

    checkout: Path
    python: Path


THIS = Release(CHECKOUT, Path(sys.executable))


@dataclass(slots=True)
class Replica:
    """One process of a service, and its links to whatever it talks to, by server."""

    service: str
    name: str
    port: int
    environment: dict[str, str]
    links: dict[str, Link]
    process: Process | None = None
    release: Release = THIS
    is_wanted: bool = True
    extra: dict[str, str] = field(default_factory=dict)
    """Set for a while, beside or instead of what it is told otherwise."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.is_alive

    def signal(self, number: signal.Signals) -> None:
        """Nobody is there: nothing happens."""
        if self.process is not None and self.process.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)


class Fleet:
    """All replicas. Whichever ends without being told to is started again."""

    def __init__(self, folder: StackFolder, replicas: list[Replica]) -> None:
        self._folder = folder
        self.replicas = replicas
        self.deaths = 0

    def of(self, service: str) -> list[Replica]:
        return [replica for replica in self.replicas if replica.service == service]

    def links(self, server: str, replicas: Iterable[Replica] | None = None) -> list[Link]:
        """Every link to a server, or those of some replicas."""
        chosen = self.replicas if replicas is None else replicas
        return [replica.links[server] for replica in chosen if server in replica.links]

    def kill_who_holds(self, port_at_postgres: int) -> int:
        """SIGKILL to whoever Postgres knows by this port; how many that were."""
        holders = [each for each in self.replicas if each.links["postgres"].leads_to(port_at_postgres) and each.is_alive]
        for replica in holders:
            replica.signal(signal.SIGKILL)
        return len(holders)

    def restore_network(self, but: Collection[Link] = ()) -> None:
        """All links as they were."""
        for replica in self.replicas:
            for link in replica.links.values():
                if link not in but:
                    link.restore()

    def start(self, replica: Replica) -> None:
        """Run the service; it need not be ready yet."""
        replica.is_wanted = True
        replica.process = processes.spawn(
            self._folder,
            replica.name,
            [str(replica.release.python), "-P", "-m", f"services.{replica.service}"],
            environment=replica.environment | {"PYTHONPATH": str(replica.release.checkout)} | replica.extra,
            directory=replica.release.checkout,
        )

    async def stop(self, replica: Replica, patience: float = 30) -> float:
        """End it politely; the seconds it took. Raises TimeoutError, and then it is gone all the same."""
        replica.is_wanted = False
        started = time.monotonic()
        replica.signal(signal.SIGTERM)
        try:
            await until(lambda: not replica.is_alive, patience, f"{replica.name} does not end")
        finally:
            replica.signal(signal.SIGKILL)
        return time.monotonic() - started

    async def restart(self, replica: Replica, **extra: str) -> None:
        """Stop it, and start it with these variables beside its own."""
        await self.stop(replica)
        replica.extra = extra
        self.start(replica)

    async def ready(self, replicas: Iterable[Replica] | None = None, patience: float = PATIENCE) -> None:
        """Returns when all say of themselves that they can work."""
        missing = list(self.replicas if replicas is None else replicas)
        deadline = time.monotonic() + patience
        async with httpx.AsyncClient(verify=PLAIN, trust_env=False, timeout=3) as client:
            while missing := [each for each in missing if not await _is_ready(client, each)]:
                if time.monotonic() > deadline:
                    ends = [f"{each.name}:\n{processes.last_lines(self._folder, each.name, 8)}" for each in missing]
                    raise TimeoutError("not ready: " + "\n".join(ends))
                await asyncio.sleep(0.1)

    def beside(self, replica: Replica, release: Release) -> Replica:
        """Start another one of the same service, told the same but for its port."""
        name = f"{replica.service}-{len(self.of(replica.service)) + 1}"
        port = ports.settle(self._folder, [name], [])[name]
        environment = replica.environment | {"ORDERBUS_PORT": str(port)}
        another = Replica(replica.service, name, port, environment, replica.links, release=release)
        self.replicas.append(another)
        self.start(another)
        return another

    async def retire(self, replica: Replica) -> None:
        """Stop it for good. Raises TimeoutError when it does not end politely."""
        await self.stop(replica)
        self.replicas.remove(replica)

    async def end(self) -> None:
        """All of them, and their links."""
        for replica in self.replicas:
            replica.is_wanted = False
            replica.signal(signal.SIGCONT)
        self.restore_network()
        await asyncio.to_thread(processes.stop, self._folder, [replica.name for replica in self.replicas], 15)
        for replica in self.replicas:
            for link in replica.links.values():
                await link.close()

    async def watch_over(self) -> None:
        """Start again what has ended, for as long as the suite runs."""
        while True:
            for replica in self.replicas:
                if replica.is_wanted and not replica.is_alive:
                    self.deaths += 1
                    self.start(replica)
            await asyncio.sleep(0.2)


@asynccontextmanager
async def a_fleet(folder: StackFolder, addresses: Mapping[str, Any], replicas: int) -> AsyncIterator[Fleet]:
    """Take the place of the four processes of the stack that is up: so many of each, told the same, behind links."""
    told = {service: psutil.Process(addresses["services"][service]["pid"]).environ() for service in SERVICES}
    processes.stop(folder, SERVICES)
    fleet = Fleet(folder, [])
    for number in range(1, replicas + 1):
        for service in SERVICES:
            first = number == 1  # partners send their webhooks to its port
            name = service if first else f"{service}-{number}"
            url = addresses["services"][service]["url"]
            port = int(urlsplit(url).port or 0) if first else ports.settle(folder, [name], [])[name]
            fleet.replicas.append(await _replica(service, name, port, told[service], addresses))
    for replica in fleet.replicas:
        fleet.start(replica)
    async with _watched(fleet):
        yield fleet


@asynccontextmanager
async def the_fleet(folder: StackFolder, addresses: Mapping[str, Any], release: Release) -> AsyncIterator[Fleet]:
    """The four processes of the stack that is up, without links, as that release has started them."""
    fleet = Fleet(folder, [])
    for service in SERVICES:
        process = processes.recorded(folder, service)
        assert process is not None, f"{service} does not run"
        port = int(urlsplit(addresses["services"][service]["url"]).port or 0)
        fleet.replicas.append(Replica(service, service, port, psutil.Process(process.pid).environ(), {}, process, release))
    async with _watched(fleet):
        yield fleet


@asynccontextmanager
async def _watched(fleet: Fleet) -> AsyncIterator[None]:
    """All are ready, and stay so; after the block none is left."""
    try:
        await fleet.ready()
        keeper = asyncio.create_task(fleet.watch_over())
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
    finally:
        await fleet.end()


async def until(condition: Callable[[], object], seconds: float, otherwise: str) -> None:
    """Returns as soon as the condition holds. Raises TimeoutError with what is wrong."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        await asyncio.sleep(0.02)


async def _replica(service: str, name: str, port: int, told: Mapping[str, str], addresses: Mapping[str, Any]) -> Replica:
    """The same environment, with a link in place of every server's address."""
    servers = {urlsplit(str(addresses[server]["url"])).port: server for server in SERVERS}
    environment = {**told, **HASTE, "ORDERBUS_PORT": str(port)}
    links: dict[str, Link] = {}
    for variable, value in told.items():
        if not variable.startswith("ORDERBUS_") or "://" not in value:
            continue
        parts = urlsplit(value)
        server = servers.get(parts.port)
        if server is None:
            continue
        if server not in links:
            links[server] = Link(str(parts.hostname), int(parts.port or 0))
            await links[server].open()
        before, _, after = parts.netloc.rpartition("@")
        host = after.rpartition(":")[0]
        netloc = f"{before}@{host}:{links[server].port}" if before else f"{host}:{links[server].port}"
        environment[variable] = parts._replace(netloc=netloc).geturl()
    return Replica(service, name, port, environment, links)


async def _is_ready(client: httpx.AsyncClient, replica: Replica) -> bool:
    try:
        ready = await client.get(f"{replica.url}/health/ready")
        return ready.is_success and all(ready.json().values())
    except httpx.TransportError:
        return False
