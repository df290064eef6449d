"""Servers for the tests: one private set for the whole run, shared by its workers, started when the first test needs
them. Given ORDERBUS_POSTGRES_URL, ORDERBUS_RABBITMQ_URL and ORDERBUS_REDIS_URL, those are used instead."""

import os
import shutil
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.stack.servers import Servers, start_servers, stop_servers

FOLDER = "ORDERBUS_TEST_SERVERS"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="orderbus-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        folder = Path(os.environ.pop(FOLDER))
        if any(folder.iterdir()):
            stop_servers(folder, erase=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def servers() -> Servers:
    """Running Postgres, RabbitMQ and Redis. Not an async fixture: starting them must not happen inside an event loop."""
    return start_servers(Path(os.environ[FOLDER]))


@pytest.fixture
def order_id() -> str:
    """An id no other test uses."""
    return f"T-{uuid4().hex[:20]}"


@pytest.fixture
def sku() -> str:
    """An article no other test uses."""
    return f"SKU-{uuid4().hex[:12]}"
