"""A process of orders by itself."""

from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel as Channel

from deploy.stack.servers import Servers
from services.orders.main import service
from shared.settings import Settings
from tests.service.house import a_database, a_vhost


@pytest.fixture
async def settings(servers: Servers) -> Settings:
    """Of a process of orders, with a database and a vhost of its own in which nobody else is."""
    told: Any = {"postgres_url": await a_database(servers, service.name), "rabbitmq_url": await a_vhost(servers, service)}
    return Settings(**told, auth_jwks="")


@pytest.fixture
async def broker(settings: Settings) -> AsyncIterator[Channel]:
    """What a test says on the bus, and sees there."""
    async with await aio_pika.connect(settings.rabbitmq_url.get_secret_value()) as connection:
        yield await connection.channel()
