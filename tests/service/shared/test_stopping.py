"""A process that is told to end does so, whether RabbitMQ answers or not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from deploy.stack.servers import Servers
from services.orders.main import service
from shared import bus
from shared.bus import Consumer, Publisher
from shared.database import Database, Tx, connect
from shared.events import Event
from shared.events.orders import OrderPaid
from shared.settings import Settings
from shared.subscriptions import Subscriptions
from tests.faults.proxy import Link
from tests.service.house import a_database, a_vhost


@pytest.fixture
async def vhost(servers: Servers) -> str:
    return await a_vhost(servers, service)


@pytest.fixture
async def link(vhost: str) -> AsyncIterator[Link]:
    """The network between the process and RabbitMQ."""
    address = urlsplit(vhost)
    link = Link(str(address.hostname), address.port or 5672)
    await link.open()
    yield link
    link.restore()
    await link.close()


@pytest.fixture
async def settings(servers: Servers, vhost: str, link: Link) -> Settings:
    """Of a process of orders, with a database and a vhost of its own."""
    address = urlsplit(vhost)
    through_link = address._replace(netloc=f"{address.netloc.rpartition('@')[0]}@127.0.0.1:{link.port}").geturl()
    told: Any = {"postgres_url": await a_database(servers, service.name), "rabbitmq_url": through_link}
    return Settings(**told, auth_jwks="")


async def nothing(_: list[Event], __: Tx) -> None:
    pass


@pytest.fixture
async def consumer(settings: Settings) -> AsyncIterator[Consumer]:
    """Listening to its queues."""
    subscriptions = Subscriptions()
    subscriptions.any_of(OrderPaid)(nothing)
    pool = await connect(settings, service.name)
    consumer = Consumer(settings, service.name, subscriptions, Database(pool, service.name))
    await consumer.start()
    running = asyncio.create_task(consumer.run())
    while not consumer._broker.running:
        await asyncio.sleep(0.01)
    yield consumer
    running.cancel()
    pool.terminate()


async def gone(link: Link) -> None:
    await link.close()


async def silent(link: Link) -> None:
    link.swallow()


@pytest.mark.parametrize("away", [gone, silent])
async def test_who_listens_ends_while_rabbitmq_is_away(
    consumer: Consumer, link: Link, away: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "CANCELLED_WITHIN", 0.5)
    monkeypatch.setattr(bus, "STOPPED_WITHIN", 0.5)
    await away(link)
    while away is gone and await consumer.is_connected():  # of silence nobody hears
        await asyncio.sleep(0.01)

    async with asyncio.timeout(5):
        await consumer.stop()


@pytest.mark.parametrize("away", [gone, silent])
async def test_who_publishes_ends_while_rabbitmq_is_away(settings: Settings, link: Link, away: Any) -> None:
    publisher = Publisher(settings, service.name, set())
    await publisher.start()
    await away(link)

    async with asyncio.timeout(5):
        await publisher.stop()
