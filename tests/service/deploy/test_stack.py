"""Private servers: started on their own, found again, mended after a crash, and gone without a trace."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import asyncpg
import httpx
import pytest
import redis.asyncio
from aio_pika.exceptions import AMQPError

from deploy.stack import docker, postgres, processes, waiting
from deploy.stack.servers import SERVERS, Servers, start_servers, stop_servers
from deploy.stack.state import StackError, StackFolder, open_folder
from shared import codec

pytestmark = [
    # One stack for all of them, on one worker: each start takes seconds.
    pytest.mark.skipif(
        docker.answers() or not all(server.is_installed() for server in SERVERS.values()),
        reason="the servers' programs are not on this machine, or Docker comes before them",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFolder]:
    with pytest.MonkeyPatch.context() as patch:
        for name in SERVERS:
            patch.delenv(f"ORDERBUS_{name.upper()}_URL", raising=False)
        folder = open_folder(tmp_path_factory.mktemp("stack"))
        yield folder
        stop_servers(folder.path, erase=True)


@pytest.fixture
def running(folder: StackFolder) -> Servers:
    """The servers, whatever the test before has done to them."""
    return start_servers(folder.path)


async def test_each_server_takes_its_administrator(running: Servers) -> None:
    database = await asyncpg.connect(running.postgres.superuser_url)
    bus = await aio_pika.connect(running.rabbitmq.url)
    cache = redis.asyncio.from_url(running.redis.url)
    assert running.rabbitmq.management_url
    async with httpx.AsyncClient() as client:
        management = await client.get(f"{running.rabbitmq.management_url}/api/whoami")

    assert await database.fetchval("SELECT current_database()") == "orderbus"
    assert await database.fetchval("SHOW server_encoding") == "UTF8"
    assert await database.fetchval("SHOW fsync") == "on"
    assert await bus.channel()
    assert await cache.set("key", "value")
    assert "administrator" in management.json()["tags"]
    await database.close()
    await bus.close()
    await cache.aclose()


@pytest.mark.parametrize("name", SERVERS)
def test_no_server_lets_anybody_in_without_the_password(name: str, running: Servers) -> None:
    url = {"postgres": running.postgres.url, "rabbitmq": running.rabbitmq.url, "redis": running.redis.url}[name]
    scheme, _, rest = url.partition("://")
    user, _, place = rest.rpartition("@")

    assert SERVERS[name].answers(url)
    with pytest.raises(StackError, match="refuses the user or password"):
        SERVERS[name].answers(f"{scheme}://{user.partition(':')[0]}:wrong@{place}")


async def test_the_broker_refuses_what_the_services_would_not_read(running: Servers) -> None:
    async with await aio_pika.connect(running.rabbitmq.url) as bus:
        channel = await bus.channel(publisher_confirms=True)
        message = aio_pika.Message(b" " * (codec.MAX_BODY_BYTES + 1))
        with pytest.raises(AMQPError, match="larger than"):
            await channel.default_exchange.publish(message, "nowhere", mandatory=False)


def test_a_second_start_leaves_what_runs_alone(running: Servers, folder: StackFolder) -> None:
    said: list[str] = []

    assert start_servers(folder.path, said.append) == running
    assert said == []


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="this system does not show who listens where")
def test_nothing_of_it_listens_beyond_this_machine(running: Servers, folder: StackFolder) -> None:
    ports = set(folder.read("ports.json").values())

    beyond = [
        port
        for table in ("tcp", "tcp6")
        for address, port in _listening(Path("/proc/net") / table)
        if port in ports and address not in ("0100007F", "00000000000000000000000001000000")
    ]

    assert running
    assert beyond == []


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system shows no command lines")
def test_no_password_is_seen_in_the_list_of_processes(running: Servers, folder: StackFolder) -> None:
    secrets = folder.read("credentials.json").values()

    seen = "".join(
        Path(f"/proc/{pid}/cmdline").read_text(errors="replace") for pids in processes.marked(folder).values() for pid in pids
    )

    assert running
    assert "postgres" in seen
    assert not [secret for secret in secrets if secret in seen]


async def _write(servers: Servers) -> None:
    """An order in the database, and a message that the bus has promised to keep."""
    database = await asyncpg.connect(servers.postgres.url)
    await database.execute("CREATE TABLE IF NOT EXISTS kept (id int); TRUNCATE kept; INSERT INTO kept VALUES (7)")
    await database.close()
    async with await aio_pika.connect(servers.rabbitmq.url) as bus:
        channel = await bus.channel(publisher_confirms=True)
        queue = await channel.declare_queue("kept", durable=True, arguments={"x-queue-type": "quorum"})
        await queue.purge()
        message = aio_pika.Message(b"seven", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, "kept")


def _await_note_of_queue(folder: StackFolder) -> None:
    """RabbitMQ notes a new quorum queue on disk a moment after it has confirmed it; killed before, it cannot find it."""
    notes = folder.path / "rabbitmq" / "data"
    assert waiting.until(lambda: any(b"kept" in note.read_bytes() for note in notes.glob("*/quorum/*/names.dets")), 20)


async def _read(servers: Servers) -> tuple[int, bytes]:
    database = await asyncpg.connect(servers.postgres.url)
    row = await database.fetchval("SELECT id FROM kept")
    await database.close()
    async with await aio_pika.connect(servers.rabbitmq.url) as bus:
        queue = await (await bus.channel()).get_queue("kept")
        message = await queue.get(timeout=20)
        assert message
        await message.ack()
    return row, message.body


def test_killed_servers_come_back_where_they_were_with_what_they_had_kept(running: Servers, folder: StackFolder) -> None:
    asyncio.run(_write(running))
    _await_note_of_queue(folder)
    name_server = processes.recorded(folder, "epmd")
    assert name_server
    for pid in (running.postgres.pid, running.rabbitmq.pid, running.redis.pid, name_server.pid):
        assert pid
        os.kill(pid, signal.SIGKILL)

    again = start_servers(folder.path)

    assert (again.postgres.url, again.rabbitmq.url, again.redis.url) == (
        running.postgres.url,
        running.rabbitmq.url,
        running.redis.url,
    )
    assert not {again.postgres.pid, again.rabbitmq.pid, again.redis.pid} & {
        running.postgres.pid,
        running.rabbitmq.pid,
        running.redis.pid,
    }
    assert asyncio.run(_read(again)) == (7, b"seven")


def test_only_the_server_that_died_is_started_again(running: Servers, folder: StackFolder) -> None:
    assert running.redis.pid
    os.kill(running.redis.pid, signal.SIGKILL)

    again = start_servers(folder.path)

    assert again.redis.pid != running.redis.pid
    assert (again.postgres, again.rabbitmq) == (running.postgres, running.rabbitmq)


def test_stopping_leaves_no_process_behind_and_keeps_the_data(running: Servers, folder: StackFolder) -> None:
    assert {"postgres", "rabbitmq", "redis", "epmd"} <= set(processes.marked(folder))

    stop_servers(folder.path)

    assert processes.marked(folder) == {}
    assert processes.roles(folder) == set()
    again = start_servers(folder.path)
    assert again.postgres.url == running.postgres.url


def test_a_start_that_was_interrupted_stops_what_it_had_begun(tmp_path: Path, folder: StackFolder) -> None:
    def interrupt(sentence: str) -> None:
        if "postgres" in sentence:
            raise KeyboardInterrupt

    other = open_folder(tmp_path / "other")
    assert other.id != folder.id

    with pytest.raises(KeyboardInterrupt):
        start_servers(other.path, interrupt)

    assert processes.marked(other) == {}
    assert processes.roles(other) == set()


def test_erased_data_is_gone(tmp_path: Path, running: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERBUS_RABBITMQ_URL", running.rabbitmq.url)  # a start of seconds, for a folder that is there without it
    other = open_folder(tmp_path / "other")
    other.write("rabbitmq/data/node", {})
    start_servers(other.path)
    home = Path(other.read(postgres.FILE)["home"])
    assert (home / "data" / "PG_VERSION").exists()

    stop_servers(other.path, erase=True)

    assert not home.exists()
    assert not (other.path / "rabbitmq").exists()
    assert waiting.until(lambda: processes.marked(other) == {}, 5)


def _listening(table: Path) -> Iterator[tuple[str, int]]:
    for line in table.read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            address, _, port = fields[1].partition(":")
            yield address, int(port, 16)
