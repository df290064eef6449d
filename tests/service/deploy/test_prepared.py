"""A service's pod waits until its schema and its queues are those of its own version."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import quote, urlsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest

from deploy.prepare import _let_in, main, prepare
from deploy.prepared import lacking
from deploy.rabbitmq.management import Management
from deploy.rabbitmq.names import watcher
from deploy.stack import urls
from deploy.stack.credentials import SERVICES
from deploy.stack.servers import Servers
from deploy.stack.services import role_url
from deploy.stack.state import CHECKOUT

PASSWORDS = dict.fromkeys(SERVICES, "a-password")


@pytest.fixture
async def installation(servers: Servers) -> AsyncIterator[Servers]:
    """An empty database and an empty vhost."""
    name = f"t_prepared_{uuid4().hex[:8]}"
    admin = await asyncpg.connect(servers.postgres.superuser_url)
    await admin.execute(f"CREATE DATABASE {name}")
    database = urlsplit(servers.postgres.superuser_url)._replace(path=f"/{name}").geturl()
    vhost = urlsplit(servers.rabbitmq.url)._replace(path=f"/{name}").geturl()
    assert servers.rabbitmq.management_url
    async with Management(servers.rabbitmq.management_url, vhost) as broker:
        await broker.put("vhosts", name)
        yield replace(
            servers,
            postgres=replace(servers.postgres, url=database, superuser_url=database),
            rabbitmq=replace(servers.rabbitmq, url=vhost),
        )
        await broker.delete("vhosts", name)
    await admin.execute(f"DROP DATABASE {name}")
    for role in (*SERVICES, "owner"):
        await admin.execute(f"DROP ROLE IF EXISTS {name}_{role}")
    await admin.close()


async def _prepare(at: Servers, watcher_password: str | None = None) -> None:
    management = at.rabbitmq.management_url
    await prepare(at.postgres.superuser_url, at.rabbitmq.url, PASSWORDS, management, PASSWORDS, watcher_password)


async def test_a_pod_waits_for_the_last_migration_and_the_last_queue(installation: Servers) -> None:
    superuser = installation.postgres.superuser_url
    own = role_url(superuser, "orders", PASSWORDS["orders"])
    waiting = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "deploy.prepared", "orders"),
        cwd=CHECKOUT,
        env={**os.environ, "ORDERBUS_POSTGRES_URL": own},
        stdout=asyncio.subprocess.PIPE,
    )
    assert waiting.stdout
    assert b"orders waits for deploy.prepare" in await waiting.stdout.readline()  # there is not even a role yet

    await _prepare(installation)

    assert await asyncio.wait_for(waiting.wait(), 60) == 0
    assert await lacking(own, "orders") is None


async def test_what_an_older_version_has_prepared_is_not_enough(installation: Servers) -> None:
    await _prepare(installation)
    superuser = installation.postgres.superuser_url
    own = role_url(superuser, "orders", PASSWORDS["orders"])
    admin = await asyncpg.connect(superuser)
    await admin.execute("DELETE FROM orders.subscribed_type WHERE type = 'order.paid'")
    await admin.execute("DELETE FROM orders.migration WHERE name LIKE 'orders/0001%'")
    await admin.close()

    answer = await lacking(own, "orders")

    assert answer is not None
    assert "orders/0001" in answer
    assert "order.paid" in answer


async def test_the_autoscalers_user_sees_how_long_queues_are_and_nothing_in_them(installation: Servers) -> None:
    await _prepare(installation, "a-watchers-password")
    vhost = urlsplit(installation.rabbitmq.url).path.removeprefix("/")
    assert installation.rabbitmq.management_url
    place = urlsplit(installation.rabbitmq.management_url)
    url = f"{place.scheme}://{place.netloc.rpartition('@')[2]}/api/queues/{quote(vhost, safe='')}"

    async with httpx.AsyncClient(auth=(watcher(vhost), "a-watchers-password"), trust_env=False, timeout=30) as client:
        # as KEDA asks: every queue of a service, by a regular expression
        asked = {"page": "1", "use_regex": "true", "pagination": "false", "name": r"^orders\.", "page_size": "100"}
        listed = await client.get(url, params=asked)
        taken = await client.post(
            f"{url}/orders.order.paid/get", json={"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}
        )
        emptied = await client.delete(f"{url}/orders.order.paid/contents")

    names = {queue["name"] for queue in listed.json()["items"]}
    assert "orders.stock.reserved" in names
    assert all(name.startswith("orders.") for name in names)
    assert taken.status_code in (400, 401, 403)
    assert emptied.status_code in (400, 401, 403)


def test_the_command_ends_with_a_line() -> None:
    secrets = {f"ORDERBUS_{name.upper()}_DB_PASSWORD": "a-password" for name in SERVICES}
    told = {"ORDERBUS_POSTGRES_URL": "postgresql://boss:sesame@127.0.0.1:1/x", "ORDERBUS_RABBITMQ_URL": "amqp://127.0.0.1:1"}
    command = [sys.executable, "-m", "deploy.prepare"]
    environment = {**os.environ, **secrets, **told, "ORDERBUS_RABBITMQ_MANAGEMENT_URL": ""}

    answer = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)

    assert (answer.returncode, answer.stdout) == (1, "")
    assert "sesame" not in answer.stderr
    assert "Traceback" not in answer.stderr
    assert " at 127.0.0.1:1: " in answer.stderr.splitlines()[-1]


async def test_a_server_that_does_not_let_us_is_told_in_one_line(installation: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    url, bus = installation.postgres.superuser_url, installation.rabbitmq.url
    nobody, admin = f"{urlsplit(url).path[1:]}_nobody", await asyncpg.connect(url)
    await admin.execute(f"CREATE ROLE {nobody} LOGIN PASSWORD 'sesame'")

    async def said(postgres: str, rabbitmq: str) -> str:
        """With what the program ends."""
        secrets = {f"ORDERBUS_{name.upper()}_DB_PASSWORD": "a-password" for name in SERVICES}
        told = {"ORDERBUS_POSTGRES_URL": postgres, "ORDERBUS_RABBITMQ_URL": rabbitmq, "ORDERBUS_RABBITMQ_MANAGEMENT_URL": ""}
        for variable, value in (secrets | told).items():
            monkeypatch.setenv(variable, value)
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(main)
        assert "sesame" not in str(ended.value)
        return str(ended.value)

    def entered_as(user: str, at: str) -> str:
        return urlsplit(at)._replace(netloc=f"{user}:sesame@{urls.place(at)}").geturl()

    place = urls.place(url)
    try:
        assert await said("postgresql://boss:sesame@127.0.0.1:1/x", bus) == (
            "Postgres at 127.0.0.1:1: [Errno 111] Connect call failed ('127.0.0.1', 1); ORDERBUS_POSTGRES_URL says where it is"
        )
        assert await said(entered_as("nosuch", url), bus) == (
            f'Postgres at {place}: password authentication failed for user "nosuch"; '
            "ORDERBUS_POSTGRES_URL is to name an administrator and the password"
        )
        assert "create the database" in await said(urlsplit(url)._replace(path="/no_such_database").geturl(), bus)
        assert await said(entered_as(nobody, url), bus) == (
            f"Postgres at {place}: permission denied to create role; "
            "ORDERBUS_POSTGRES_URL is to name a superuser, or the database's owner with CREATEROLE"
        )
        assert "is not a URL of the form postgresql://" in await said("nonsense", bus)
        assert "ORDERBUS_RABBITMQ_URL is to name an administrator and the password" in await said(url, entered_as("nosuch", bus))
        assert "there is no such vhost" in await said(url, urlsplit(bus)._replace(path="/no_such_vhost").geturl())
    finally:
        await admin.execute(f"DROP ROLE {nobody}")
        await admin.close()


@pytest.mark.parametrize("password", ['it\'s "odd" \\ $1', "pässwörd 密码", "a\u00a0b\u00adc ① ﬁ"])
async def test_a_role_enters_with_its_password_and_no_other_whatever_signs_it_has(installation: Servers, password: str) -> None:
    at, others = installation.postgres.superuser_url, {**PASSWORDS, "orders": password}

    await prepare(at, installation.rabbitmq.url, others, None, {})

    await (await asyncpg.connect(role_url(at, "orders", password))).close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(role_url(at, "orders", PASSWORDS["orders"]))


async def test_no_statement_that_the_server_could_log_holds_a_password(installation: Servers) -> None:
    await _prepare(installation)
    admin = await asyncpg.connect(installation.postgres.superuser_url)
    told: list[str] = []
    admin.add_query_logger(lambda query: told.append(query.query))
    await _let_in(admin, "orders", "a-sesame-word")
    await admin.close()

    assert any("ALTER ROLE" in statement for statement in told)
    assert not [statement for statement in told if "sesame" in statement]


async def test_several_may_prepare_at_once(installation: Servers) -> None:
    await asyncio.gather(*(_prepare(installation) for _ in range(3)))

    for service in SERVICES:
        assert await lacking(role_url(installation.postgres.superuser_url, service, PASSWORDS[service]), service) is None


async def test_a_user_that_several_make_at_the_same_moment_is_made(installation: Servers) -> None:
    vhost = urlsplit(installation.rabbitmq.url).path[1:]
    assert installation.rabbitmq.management_url
    async with Management(installation.rabbitmq.management_url, installation.rabbitmq.url) as broker:
        for n in range(5):
            user = f"{vhost}_{n}"
            await asyncio.gather(*(broker.put("users", user, password="a-password", tags="") for _ in range(10)))
            assert await broker.delete("users", user)
