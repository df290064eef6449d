"""Services in the background: started once, replaced when they must be, and heard when they fail."""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.stack import credentials, processes, services, stack, waiting
from deploy.stack.servers import Postgres, RabbitMQ, Redis, Servers
from deploy.stack.state import StackError, StackFolder, open_folder, silent

READY = """
import http.server, os

class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health/ready" else 404)
        self.end_headers()
        self.wfile.write(b'{"postgres": true, "rabbitmq": true}')

http.server.HTTPServer(("127.0.0.1", int(os.environ["ORDERBUS_PORT"])), Health).serve_forever()
"""
NEVER_READY = READY.replace("200", "503")
WITHOUT_THE_BROKER = READY.replace('"rabbitmq": true', '"rabbitmq": false')
DIES = "import sys; sys.exit('the schema is missing')"

SERVERS = Servers(
    Postgres("postgresql://boss:pw@127.0.0.1:1/orderbus", "postgresql://boss:pw@127.0.0.1:1/orderbus", None),
    RabbitMQ("amqp://boss:pw@127.0.0.1:2/", None, None),
    Redis("redis://:pw@127.0.0.1:3/0", None),
)
BOTH = {"orders": ("-c", READY), "sandbox": ("-c", READY)}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[StackFolder]:
    folder = open_folder(tmp_path)
    # Everybody is told where these are, whether they run or not.
    folder.write("ports.json", {"payments": 1, "logistics": 2})
    yield folder
    processes.stop(folder, processes.roles(folder), patience=0)


def start(
    folder: StackFolder,
    programs: Mapping[str, Sequence[str]] = BOTH,
    servers: Servers = SERVERS,
    patience: float = 30,
) -> dict[str, int]:
    """Start these programs; gives the number of each one's process."""
    services.start_services(folder, servers, credentials.keep(folder), silent, programs, patience)
    running = {role: processes.recorded(folder, role) for role in programs}
    return {role: process.pid for role, process in running.items() if process}


def test_all_of_them_are_ready_when_the_start_returns(folder: StackFolder) -> None:
    started = start(folder)

    chosen = folder.read("ports.json")
    assert set(started) == {"orders", "sandbox"}
    assert all(services.is_ready(chosen[role]) for role in started)


def test_a_second_start_leaves_what_runs_alone(folder: StackFolder) -> None:
    assert start(folder) == start(folder)


def test_a_killed_service_comes_back_at_its_address(folder: StackFolder) -> None:
    before, chosen = start(folder), folder.read("ports.json")
    os.kill(before["orders"], signal.SIGKILL)

    after = start(folder)

    assert after["orders"] != before["orders"]
    assert after["sandbox"] == before["sandbox"]
    assert folder.read("ports.json") == chosen


def test_a_service_whose_server_has_moved_is_started_anew(folder: StackFolder) -> None:
    before = start(folder)

    after = start(folder, servers=replace(SERVERS, redis=Redis("redis://:pw@127.0.0.1:4/0", None)))

    assert after["orders"] != before["orders"]
    assert after["sandbox"] == before["sandbox"]


def test_one_that_dies_is_reported_with_its_last_words(folder: StackFolder) -> None:
    with pytest.raises(StackError, match=r"(?s)orders ended before it was ready.*the schema is missing"):
        start(folder, {**BOTH, "orders": ("-c", DIES)})


@pytest.mark.parametrize("program", [NEVER_READY, WITHOUT_THE_BROKER])
def test_one_that_is_never_ready_is_not_waited_for_forever(folder: StackFolder, program: str) -> None:
    with pytest.raises(StackError, match="orders is not ready after 1 s"):
        start(folder, {**BOTH, "orders": ("-c", program)}, patience=1)


def test_one_that_lacks_the_broker_is_not_ready_and_is_not_said_to_be_silent(folder: StackFolder) -> None:
    with pytest.raises(StackError, match="not ready"):
        start(folder, {**BOTH, "orders": ("-c", WITHOUT_THE_BROKER)}, patience=1)
    url = services.address(folder.read("ports.json"), "orders")
    folder.write(stack.FILE, {"services": {"orders": {"url": url, "pid": 1}}})

    def state() -> str:
        return next(line.state for line in stack.status(folder) if line.name == "orders")

    assert state() == "not ready"
    process = processes.recorded(folder, "orders")
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    assert state() == "not answering"


def test_stopping_leaves_no_process_behind(folder: StackFolder) -> None:
    start(folder)

    processes.stop(folder, services.ROLES)

    assert processes.roles(folder) == set()
    assert waiting.until(lambda: not services.is_ready(folder.read("ports.json")["orders"]), 5)
