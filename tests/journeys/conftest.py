"""All four services and the partners' sandbox as processes of their own, as in production, on one installation."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import asyncpg
import httpx
import pytest

from deploy.stack import processes, stack
from deploy.stack.credentials import SERVICES
from deploy.stack.servers import Servers
from deploy.stack.state import open_folder
from shared.origin import EXCHANGE
from tests.journeys.collector import Collector, a_collector
from tests.journeys.shop import Shop
from tests.plain_http import PLAIN
from tests.service.house import Bus


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    """Who is sent what the services record."""
    with a_collector() as collector:
        yield collector


@pytest.fixture(scope="package")
def running(servers: Servers, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a stack that is up, for all journeys; `stack.up` there again brings back what was killed."""
    recorded = {
        "ORDERBUS_OTLP_ENDPOINT": collector.http_url,
        "ORDERBUS_TRACES_PER_SECOND": "1000",
        "OTEL_BSP_SCHEDULE_DELAY": "200",  # milliseconds that a span waits for others to be sent with; 5,000 if not said
    }
    with an_installation(servers, f"journeys_{uuid4().hex[:8]}", **recorded):
        folder = open_folder(tmp_path_factory.mktemp("stack"))
        try:
            stack.up(folder=folder)
            yield folder.path
        finally:
            stack.down(folder=folder)


@contextmanager
def an_installation(servers: Servers, name: str, **more: str) -> Iterator[None]:
    """A database and a vhost of this name. Whatever is started in the block uses them, and is told what else is given."""
    asyncio.run(_make_database(servers.postgres.superuser_url, name))
    given = {
        "ORDERBUS_POSTGRES_URL": urlsplit(servers.postgres.superuser_url)._replace(path=f"/{name}").geturl(),
        "ORDERBUS_RABBITMQ_URL": urlsplit(servers.rabbitmq.url)._replace(path=f"/{name}").geturl(),
        "ORDERBUS_REDIS_URL": servers.redis.url,
        "ORDERBUS_RABBITMQ_MANAGEMENT_URL": _make_vhost(servers, name),
        "ORDERBUS_RABBITMQ_METRICS_URL": servers.rabbitmq.metrics_url or "",
        **more,
    }
    before = {variable: os.environ.get(variable) for variable in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for variable, value in before.items():
            os.environ.pop(variable) if value is None else os.environ.update({variable: value})


@pytest.fixture
async def shop(running: Path) -> AsyncIterator[Shop]:
    """A shop's engineer with a token, a queue of his own, and eyes on the partners' books."""
    async with a_shop(json.loads((running / stack.FILE).read_text())) as shop:
        yield shop


@asynccontextmanager
async def a_shop(addresses: dict[str, Any]) -> AsyncIterator[Shop]:
    """For who wants one for longer than a test."""
    limits = httpx.Limits(max_connections=20)
    headers = {"authorization": f"Bearer {addresses['token']}"}
    async with (
        httpx.AsyncClient(headers=headers, verify=PLAIN, trust_env=False, timeout=30, limits=limits) as client,
        await aio_pika.connect(addresses["rabbitmq"]["url"]) as connection,
    ):
        channel = await connection.channel()
        bus = Bus(channel, await channel.get_exchange(EXCHANGE))
        await bus.listen()
        yield Shop(client, bus, addresses)


@pytest.fixture
def services(running: Path) -> dict[str, int]:
    """The pid of each service's process."""
    folder = open_folder(running)
    found = {name: processes.recorded(folder, name) for name in SERVICES}
    return {name: process.pid for name, process in found.items() if process}


async def _make_database(superuser_url: str, name: str) -> None:
    connection = await asyncpg.connect(superuser_url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


def _make_vhost(servers: Servers, name: str) -> str:
    management_url = servers.rabbitmq.management_url
    assert management_url, "set ORDERBUS_RABBITMQ_MANAGEMENT_URL: the tests make a vhost each"
    httpx.put(f"{management_url}/api/vhosts/{name}", trust_env=False).raise_for_status()
    return management_url
