"""One real service against real Postgres and RabbitMQ, spoken to by events and HTTP only.

Each service gets a database and a vhost of its own, in which no other service listens."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from deploy.stack.servers import Servers
from shared.database import BY_KEY, Database, speak_json
from tests.service.house import Bus, Client, House, a_client, a_house


@pytest.fixture(scope="module")
async def house(
    servers: Servers, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """The service the test's folder is named after, running, with the sandbox as its partners."""
    service = Path(str(request.path)).parent.name
    async with a_house(service, servers, tmp_path_factory.mktemp(service)) as house:
        yield house


@pytest.fixture
async def database(house: House, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """The service's own, as another process of it would see it; what is announced in it goes nowhere."""
    service = Path(str(request.path)).parent.name
    settings = {"search_path": service, **BY_KEY}
    async with asyncpg.create_pool(house.database_url, min_size=1, server_settings=settings, init=speak_json) as pool:
        yield Database(pool, service)


@pytest.fixture
def bus(house: House) -> Bus:
    """Publishes events and waits for what the service announces."""
    return house.bus


@pytest.fixture
def sandbox(house: House) -> Client:
    """The partners' books and faults."""
    return house.sandbox


@pytest.fixture
async def orders(house: House) -> AsyncIterator[Client]:
    """The running service, with a token of all scopes."""
    async with a_client(str(house.service.base_url), house.service.headers) as client:
        yield client


inventory = payments = logistics = orders
