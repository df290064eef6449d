"""A restore on servers that are named by URL puts data and bus back and leaves all else to who runs the installation there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import asyncpg
import pytest

from deploy.backup import bus, restore, taking
from deploy.backup.taking import BUS, take
from deploy.prepare import prepare
from deploy.rabbitmq.management import Management
from deploy.stack import processes, servers
from deploy.stack.credentials import SERVICES
from deploy.stack.servers import Servers
from deploy.stack.services import role_url
from deploy.stack.state import Say, StackError, open_folder, silent
from shared.origin import EXCHANGE

THEIRS = dict.fromkeys(SERVICES, "the-installations-own")


@dataclass(frozen=True)
class Installation:
    """Prepared servers on which no service runs just now."""

    postgres_url: str
    rabbitmq_url: str
    management_url: str

    async def prepare(self) -> None:
        await prepare(self.postgres_url, self.rabbitmq_url, THEIRS, self.management_url, THEIRS)

    async def note(self, word: str) -> None:
        """The data is this word, and so is what waits on the bus."""
        connection = await asyncpg.connect(self.postgres_url)
        await connection.execute(f"CREATE TABLE orders.note AS SELECT '{word}' AS word")
        await connection.close()
        async with await aio_pika.connect(self.rabbitmq_url) as broker:
            exchange = await (await broker.channel()).get_exchange(EXCHANGE)
            await exchange.publish(aio_pika.Message(word.encode()), "order.paid")

    async def data(self) -> str:
        connection = await asyncpg.connect(self.postgres_url)
        try:
            return str(await connection.fetchval("SELECT word FROM orders.note"))
        finally:
            await connection.close()

    async def waiting(self) -> list[str]:
        """What inventory has not heard yet; it is heard now."""
        heard = []
        async with await aio_pika.connect(self.rabbitmq_url) as broker:
            queue = await (await broker.channel()).get_queue("inventory.order.paid")
            while message := await queue.get(no_ack=True, fail=False):
                heard.append(message.body.decode())
        return heard


@asynccontextmanager
async def an_installation(at: Servers) -> AsyncIterator[Installation]:
    name = f"t_restore_{uuid4().hex[:8]}"
    vhost = urlsplit(at.rabbitmq.url)._replace(path=f"/{name}").geturl()
    database = urlsplit(at.postgres.superuser_url)._replace(path=f"/{name}").geturl()
    assert at.rabbitmq.management_url
    admin = await asyncpg.connect(at.postgres.superuser_url)
    await admin.execute(f"CREATE DATABASE {name}")
    async with Management(at.rabbitmq.management_url, vhost) as broker:
        await broker.put("vhosts", name)
        installation = Installation(database, vhost, at.rabbitmq.management_url)
        await installation.prepare()
        yield installation
        await broker.delete("vhosts", name)
    for row in await admin.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", name):
        await admin.execute(f"DROP DATABASE {row['datname']}")
    for role in (*SERVICES, "owner"):
        await admin.execute(f"DROP ROLE IF EXISTS {name}_{role}")
    await admin.close()


@pytest.fixture
async def installation(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Installation]:
    """It has gone on since the backup."""
    async with an_installation(servers) as installation:
        await installation.note("since")
        for server in ("postgres", "rabbitmq", "redis"):
            monkeypatch.delenv(f"ORDERBUS_{server.upper()}_URL", raising=False)
        monkeypatch.setenv("ORDERBUS_POSTGRES_URL", installation.postgres_url)
        monkeypatch.setenv("ORDERBUS_RABBITMQ_URL", installation.rabbitmq_url)
        monkeypatch.setenv("ORDERBUS_RABBITMQ_MANAGEMENT_URL", installation.management_url)
        yield installation


@pytest.fixture(scope="module")
async def backup(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backups") / "backup"
    async with an_installation(servers) as installation:
        await installation.note("then")
        assert await installation.waiting() == ["then"]  # nobody else would take it
        async with await aio_pika.connect(installation.rabbitmq_url) as broker:
            for name in bus.QUEUES:
                await (await (await broker.channel()).get_queue(name)).purge()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(taking, "IN_HAND", 0)
            await take(installation.postgres_url, installation.rabbitmq_url, folder)
    bus.write(folder / BUS, [bus.Message(EXCHANGE, "order.paid", None, "dGhlbg==")])
    return folder


@pytest.fixture
def put_back(backup: Path, tmp_path: Path) -> Callable[..., None]:
    """Restores, from a checkout with nothing in it."""

    def put_back(say: Say = silent) -> None:
        restore(backup, say, open_folder(tmp_path / "checkout"))

    return put_back


async def test_data_and_bus_are_those_of_the_backup_nothing_is_started_and_no_password_changed(
    installation: Installation, put_back: Callable[..., None], tmp_path: Path
) -> None:
    folder = open_folder(tmp_path / "checkout")
    try:
        await asyncio.to_thread(put_back)

        assert processes.roles(folder) == set()
    finally:  # of what must not be there
        processes.stop(folder, processes.roles(folder) - set(servers.ROLES))
        servers.take_down(folder, erase=True)
    assert await installation.data() == "then"
    assert await installation.waiting() == ["then"]
    orders = await asyncpg.connect(role_url(installation.postgres_url, "orders", THEIRS["orders"]))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):  # so a service waits for who prepares
        await orders.fetchval("SELECT word FROM orders.note")
    await installation.prepare()
    assert await orders.fetchval("SELECT word FROM orders.note") == "then"
    await orders.close()


@pytest.mark.parametrize("when", ["reading the backup", "putting it in place"])
async def test_it_changes_nothing_while_somebody_is_connected_and_says_who(
    installation: Installation, put_back: Callable[..., None], when: str
) -> None:
    """Not even when he comes in the last moment."""
    loop = asyncio.get_running_loop()
    connected: list[asyncpg.Connection] = []

    async def connect() -> None:
        connected.append(await asyncpg.connect(installation.postgres_url, server_settings={"application_name": "a clerk's psql"}))

    def say(step: str) -> None:
        if step.startswith(when):
            asyncio.run_coroutine_threadsafe(connect(), loop).result(10)

    if when == "reading the backup":
        await connect()
    with pytest.raises(StackError, match=r"a clerk's psql \(\w+ from 127\.0\.0\.1\)"):
        await asyncio.to_thread(put_back, say)

    for each in connected:
        await each.close()
    assert connected
    assert await installation.data() == "since"
    assert await installation.waiting() == ["since"]


async def test_it_changes_nothing_while_somebody_listens(installation: Installation, put_back: Callable[..., None]) -> None:
    async with await aio_pika.connect(installation.rabbitmq_url) as broker:
        queue = await (await broker.channel()).get_queue("payments.order.cancelled")
        await queue.iterator().consume()
        with pytest.raises(StackError, match=r"listens to payments\.order\.cancelled"):
            await asyncio.to_thread(put_back)

    assert await installation.data() == "since"
    assert await installation.waiting() == ["since"]


@pytest.mark.parametrize("step", ["reading the backup", "putting it in place", "emptying the queues", "publishing", "removing"])
async def test_cut_short_anywhere_it_is_said_again(installation: Installation, put_back: Callable[..., None], step: str) -> None:
    def say(sentence: str) -> None:
        if sentence.startswith(step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await asyncio.to_thread(put_back, say)
    assert await installation.data() in ("since", "then")  # never none, and never half

    await asyncio.to_thread(put_back)

    assert await installation.data() == "then"
    assert await installation.waiting() == ["then"]
    admin = await asyncpg.connect(installation.postgres_url)
    name = urlsplit(installation.postgres_url).path.removeprefix("/")
    assert await admin.fetchval("SELECT count(*) FROM pg_database WHERE starts_with(datname, $1)", name) == 1
    await admin.close()


async def test_one_installations_data_and_anothers_bus_are_no_installation(
    installation: Installation, put_back: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORDERBUS_RABBITMQ_URL")

    with pytest.raises(StackError, match="ORDERBUS_RABBITMQ_URL is not"):
        await asyncio.to_thread(put_back)

    assert await installation.data() == "since"
