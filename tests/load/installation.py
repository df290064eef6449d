"""A whole stack for the bench alone: services as in production, and an external system that is let in."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import psutil

from deploy.rabbitmq import names, systems
from deploy.rabbitmq.management import Management
from deploy.stack import ports, processes, stack, waiting
from deploy.stack.credentials import SERVICES
from deploy.stack.servers import start_servers
from deploy.stack.state import CHECKOUT, Say, StackError, StackFolder
from tests.faults.servers import Servers
from tests.load.load import Client
from tests.private_folder import a_private_folder

SERVERS = ("postgres", "rabbitmq", "sandbox")

SYSTEM = systems.System(
    "bench",
    "/shops/bench",
    publishes=("order.paid", "order.submitted"),
    hears=("order.cancelled", "order.held", "order.rejected", "tracking.pushed"),
)
"""Who sends the orders, and hears how each of them ends."""


@dataclass(frozen=True, slots=True)
class Installation:
    """`pids`: of each service's processes, and of the servers. `client`: how the external system gets in. `broker_counters`:
    where RabbitMQ tells what it has counted."""

    servers: Servers
    client: Client
    pids: Mapping[str, list[int]]
    counts_statements: bool
    broker_counters: str


@contextmanager
def an_installation(say: Say, replicas: int = 1) -> Iterator[Installation]:
    """A fresh one, with so many processes of each service."""
    with a_private_folder("bench") as folder:
        counts_statements = _prepare_postgres(folder, say)
        addresses = stack.up(say, folder)
        if counts_statements:
            asyncio.run(Servers(folder, addresses).sql("CREATE EXTENSION pg_stat_statements"))
        urls = {service: [str(addresses["services"][service]["url"])] for service in SERVICES}
        pids = {service: [int(addresses["services"][service]["pid"])] for service in SERVICES}
        for number in range(2, replicas + 1):
            for service in SERVICES:
                url, pid = _another(folder, service, number, pids[service][0])
                urls[service].append(url)
                pids[service].append(pid)
        _await_readiness([url for each in urls.values() for url in each])
        client = Client(
            bus_url=asyncio.run(_let_in(addresses)),
            exchange=systems.exchange_of(SYSTEM.source),
            queue=systems.queue_of(SYSTEM.name),
            source=SYSTEM.source,
            token=addresses["token"],
            orders_urls=urls["orders"],
            inventory_urls=urls["inventory"],
        )
        pids |= {name: [int(addresses[name]["pid"])] for name in SERVERS}
        counters = f"{addresses['rabbitmq']['metrics_url']}/metrics"
        yield Installation(Servers(folder, addresses), client, pids, counts_statements, counters)


def _prepare_postgres(folder: StackFolder, say: Say) -> bool:
    """Have Postgres count statements, where it can; a library is loaded at the start only."""
    url = start_servers(folder.path, say).postgres.superuser_url
    if not asyncio.run(_can_count(url)):
        say("this Postgres has no pg_stat_statements: SQL round trips are not counted")
        return False
    asyncio.run(_execute(url, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'"))
    processes.stop(folder, ["postgres"])
    return True


async def _can_count(url: str) -> bool:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return bool(await connection.fetchval("SELECT TRUE FROM pg_available_extensions WHERE name = 'pg_stat_statements'"))
    finally:
        await connection.close()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _another(folder: StackFolder, service: str, number: int, first: int) -> tuple[str, int]:
    """One more process of the service, told what the first was told."""
    role = f"{service}-{number}"
    port = ports.settle(folder, [role], [])[role]
    environment = psutil.Process(first).environ() | {"ORDERBUS_PORT": str(port)}
    command = [sys.executable, "-P", "-m", f"services.{service}"]
    process = processes.spawn(folder, role, command, environment=environment, directory=CHECKOUT)
    return f"http://127.0.0.1:{port}", process.pid


def _await_readiness(urls: list[str]) -> None:
    with httpx.Client(trust_env=False, timeout=3) as client:

        def is_ready(url: str) -> bool:
            try:
                ready = client.get(f"{url}/health/ready")
                return ready.is_success and ready.json()["rabbitmq"]
            except httpx.TransportError:
                return False

        if not waiting.until(lambda: all(is_ready(url) for url in urls), 60):
            raise StackError(f"not ready: {[url for url in urls if not is_ready(url)]}")


async def _let_in(addresses: Mapping[str, Any]) -> str:
    url = str(addresses["rabbitmq"]["url"])
    async with Management(addresses["rabbitmq"]["management_url"], url) as broker:
        password = await systems.add(broker, SYSTEM)
    assert password is not None, "the system is new"
    return names.user_url(url, names.system_user(names.vhost_of(url), SYSTEM.name), password)
