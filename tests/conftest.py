"""Servers for the tests: one private set for the whole run, shared by its workers, started when the first test needs
them. Given ORDERBUS_POSTGRES_URL, ORDERBUS_RABBITMQ_URL and ORDERBUS_REDIS_URL, those are used instead."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from deploy.stack import docker
from deploy.stack.servers import Servers, start_servers, stop_servers
from tests import private_folder
from tests.containers import containers

# a machine at work is slow, not wrong: no test asserts times
hypothesis.settings.register_profile("no deadlines", deadline=None)
hypothesis.settings.load_profile("no deadlines")

FOLDER = "ORDERBUS_TEST_SERVERS"

JOURNEYS = "tests/journeys/"

LONGEST_FIRST = ("tests/faults/", f"{JOURNEYS}test_tutorial.py", JOURNEYS, "tests/load/", "tests/service/")
"""Whole stacks, then single services, then what needs no servers: a long file left for the end would have one worker wait. Of the
journeys, a newcomer's is the first: his stack has nobody else's dead letters."""


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """Each file to the worker that is free next; but the journeys all to one, for they share a stack."""

    def _split_scope(self, nodeid: str) -> str:
        return JOURNEYS if nodeid.startswith(JOURNEYS) else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((rank for rank, folder in enumerate(LONGEST_FIRST) if item.nodeid.startswith(folder)), len(LONGEST_FIRST))

    items.sort(key=rank)


def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")
    private_folder.keep_in(Path(os.environ[FOLDER]).parent if is_worker else private_folder.best_place())
    if not is_worker:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a run that is told to end stops its servers, as after Ctrl-C
        os.environ[FOLDER] = str(private_folder.a_folder_for("tests"))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        folder = Path(os.environ.pop(FOLDER))
        if any(folder.iterdir()):
            stop_servers(folder, erase=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Running Postgres, RabbitMQ and Redis: those named by URL, else containers, else private ones of the machine's own
    programs. Not an async fixture: starting them must not happen inside an event loop."""
    if "ORDERBUS_POSTGRES_URL" not in os.environ and docker.answers():
        with containers() as found:
            yield found
    else:
        yield start_servers(Path(os.environ[FOLDER]))


@pytest.fixture
def order_id() -> str:
    """An id no other test uses."""
    return f"T-{uuid4().hex[:20]}"


@pytest.fixture
def sku() -> str:
    """An article no other test uses."""
    return f"SKU-{uuid4().hex[:12]}"
