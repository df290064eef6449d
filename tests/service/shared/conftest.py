"""A process of orders by itself."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel as Channel
from pydantic import SecretStr

from deploy.stack.servers import Servers
from services.orders.main import service
from shared.settings import Settings
from tests.faults.proxy import Link
from tests.service.house import a_database, a_vhost


@pytest.fixture
async def settings(servers: Servers) -> Settings:
    """Of a process of orders, with a database and a vhost of its own in which nobody else is."""
    told: Any = {"postgres_url": await a_database(servers, service.name), "rabbitmq_url": await a_vhost(servers, service)}
    return Settings(**told, auth_jwks="")


@pytest.fixture
async def link(settings: Settings) -> AsyncIterator[Link]:
    """A network between a process and RabbitMQ, for whose settings are `behind` it."""
    address = urlsplit(settings.rabbitmq_url.get_secret_value())
    link = Link(str(address.hostname), address.port or 5672)
    await link.open()
    yield link
    link.restore()
    await link.close()


def behind(link: Link, settings: Settings) -> Settings:
    """Of a process that reaches RabbitMQ through it."""
    address = urlsplit(settings.rabbitmq_url.get_secret_value())
    through_link = address._replace(netloc=f"{address.netloc.rpartition('@')[0]}@127.0.0.1:{link.port}").geturl()
    return settings.model_copy(update={"rabbitmq_url": SecretStr(through_link)})


@pytest.fixture
async def unanswered() -> AsyncIterator[None]:
    """For a test whose connection to RabbitMQ was refused, or was not ended in time: aio-pika keeps it for the garbage collector,
    which closes it in whatever loop it comes by, and in another than its own that fails and is logged."""
    yield
    gc.collect()
    await asyncio.sleep(0)


@pytest.fixture
async def broker(settings: Settings) -> AsyncIterator[Channel]:
    """What a test says on the bus, and sees there."""
    async with await aio_pika.connect(settings.rabbitmq_url.get_secret_value()) as connection:
        yield await connection.channel()
