"""A process that is told to end does so, whether RabbitMQ answers or not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.orders.main import service
from shared.bus.consumer import Consumer
from shared.bus.publisher import Publisher
from shared.database import Database, Tx, connect
from shared.events import Event
from shared.events.orders import OrderPaid
from shared.settings import Settings
from shared.subscriptions import Subscriptions
from tests.faults.proxy import Link
from tests.service.shared.conftest import behind


async def nothing(_: list[Event], __: Tx) -> None:
    pass


@pytest.fixture
async def consumer(settings: Settings, link: Link) -> AsyncIterator[Consumer]:
    """Listening to its queues."""
    subscriptions = Subscriptions()
    subscriptions.any_of(OrderPaid)(nothing)
    pool = await connect(settings, service.name)
    consumer = Consumer(behind(link, settings), service.name, subscriptions, Database(pool, service.name))
    await consumer.start()
    running = asyncio.create_task(consumer.run())
    while not all(subscriber.running for subscriber in consumer._broker.subscribers):
        await asyncio.sleep(0.01)
    yield consumer
    running.cancel()
    pool.terminate()


async def gone(link: Link) -> None:
    await link.close()


async def silent(link: Link) -> None:
    link.swallow()


async def out_of_reach(link: Link) -> None:
    link.swallow()  # who tries to connect anew waits
    link.cut()


@pytest.mark.parametrize("away", [gone, silent, out_of_reach])
async def test_who_listens_ends_while_rabbitmq_is_away(
    consumer: Consumer, link: Link, away: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.bus.consumer.CANCELLED_WITHIN", 0.5)
    monkeypatch.setattr("shared.bus.consumer.STOPPED_WITHIN", 0.5)
    connection = await consumer._broker.connect()
    await away(link)
    while away is not silent and await consumer.is_connected():  # of silence nobody hears
        await asyncio.sleep(0.01)

    async with asyncio.timeout(5):
        await consumer.stop()

    assert connection.close_called  # one that looks for the broker for ever would not let the process end


@pytest.mark.usefixtures("unanswered")
@pytest.mark.parametrize("away", [gone, silent, out_of_reach])
async def test_who_publishes_ends_while_rabbitmq_is_away(settings: Settings, link: Link, away: Any) -> None:
    publisher = Publisher(behind(link, settings), service.name, set())
    await publisher.start()
    await away(link)

    async with asyncio.timeout(5):
        await publisher.stop()
