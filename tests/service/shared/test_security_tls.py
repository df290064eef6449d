"""TLS with a private CA: a server with its certificate is spoken to, one that cannot show it is not.

Postgres, RabbitMQ and Redis are real servers with TLS of their own."""

import asyncio
import os
import pwd
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg
import pytest
import redis
from pydantic import SecretStr

from deploy.rabbitmq.management import Management
from deploy.stack import ports, postgres, processes, rabbitmq, waiting
from deploy.stack.servers import Servers
from deploy.stack.state import StackFolder, open_folder
from shared import database, jwks, limits, partners, tls
from shared.bus.consumer import Consumer
from shared.bus.publisher import Publisher
from shared.database import Database
from shared.origin import EXCHANGE
from shared.partners import Partner, PartnerUnknown
from shared.problems import Unavailable
from shared.settings import Settings
from shared.subscriptions import Subscriptions
from tests.service.house import a_port, number_of, serving
from tests.service.shared.certificates import Authority

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "strangers")


def some_settings(ca: Authority | None, **more: Any) -> Settings:
    told: dict[str, Any] = {"postgres_url": "postgresql://", "rabbitmq_url": "amqp://", "auth_jwks": ""}
    return Settings(**told | {"tls_ca": str(ca.file) if ca else None} | more)


def await_answer(folder: StackFolder, role: str, answers: Callable[[], bool]) -> None:
    """As long as a stack waits for its servers; one that has died, or is not there by then, shows what it logged."""

    def is_settled() -> bool:
        return processes.recorded(folder, role) is None or answers()

    is_up = waiting.until(is_settled, 90) and processes.recorded(folder, role) is not None
    assert is_up, f"{role} does not start:\n{processes.last_lines(folder, role)}"


@pytest.fixture(scope="module")
def secure_postgres(ours: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a private Postgres with TLS on, and a certificate of our CA."""
    if not postgres.is_installed():
        pytest.skip("no Postgres programs here")
    folder = open_folder(tmp_path_factory.mktemp("postgres"))
    chosen = ports.settle(folder, postgres.PORTS, [])
    url = postgres.url(chosen, "secret")
    postgres.begin(folder, chosen, "secret")
    try:
        await_answer(folder, postgres.ROLE, lambda: postgres.answers(url))
        asyncio.run(_turn_tls_on(url, *ours.certify(HOST)))
        yield url
    finally:
        processes.stop(folder, [postgres.ROLE])
        postgres.erase(folder)


async def _turn_tls_on(url: str, certificate: Path, key: Path) -> None:
    connection = await asyncpg.connect(url)
    data = Path(await connection.fetchval("SHOW data_directory"))
    for file, name in ((certificate, "server.crt"), (key, "server.key")):
        shutil.copy(file, data / name)
        if os.geteuid() == 0:
            owner = pwd.getpwuid(data.stat().st_uid)  # noqa: ASYNC240 -- a test that waits for nobody
            os.chown(data / name, owner.pw_uid, owner.pw_gid)
    await connection.execute("ALTER SYSTEM SET ssl = on")
    await connection.fetchval("SELECT pg_reload_conf()")
    await connection.close()


async def _is_tls(url: str, ca: Authority | None) -> bool:
    settings = some_settings(ca, postgres_url=SecretStr(url))
    pool = await database.connect(settings, "orders")
    try:
        return bool(await pool.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
    finally:
        await pool.close()


async def test_postgres_is_spoken_to_by_tls_and_its_certificate_is_checked(
    secure_postgres: str, ours: Authority, strangers: Authority, servers: Servers
) -> None:
    assert await _is_tls(secure_postgres, ours)
    assert await _is_tls(f"{secure_postgres}?sslmode=verify-full&sslrootcert={ours.file}", None)
    with pytest.raises(ssl.SSLCertVerificationError):
        await _is_tls(secure_postgres, strangers)
    with pytest.raises(ssl.SSLCertVerificationError):
        await _is_tls(f"{secure_postgres}?sslmode=verify-ca&sslrootcert={strangers.file}", None)


async def test_a_postgres_without_tls_is_not_spoken_to_when_a_ca_is_set(servers: Servers, ours: Authority) -> None:
    with pytest.raises((ConnectionError, asyncpg.PostgresError)):
        await _is_tls(servers.postgres.superuser_url, ours)


@pytest.fixture
def secure_redis(ours: Authority, tmp_path: Path) -> Iterator[int]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no Redis program here")
    certificate, key = ours.certify(HOST)
    [port] = ports.settle(open_folder(tmp_path / "ports"), ["redis"], []).values()
    server = subprocess.Popen(
        [
            *(program, "--port", "0", "--tls-port", str(port), "--bind", HOST, "--save", "", "--dir", str(tmp_path)),
            *("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-auth-clients", "no"),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        assert waiting.until(lambda: ports.listens(port), 10)
        yield port
    finally:
        server.terminate()
        server.wait()


async def test_redis_is_spoken_to_by_tls_and_its_certificate_is_checked(
    secure_redis: int, ours: Authority, strangers: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PATIENCE", 10)  # it is the certificate that is refused, not a machine at work
    for ca, trusted in ((ours, True), (strangers, False), (None, False)):
        client = limits.connect(some_settings(ca, redis_url=SecretStr(f"rediss://{HOST}:{secure_redis}/0")))
        if trusted:
            assert await client.ping()
        else:
            with pytest.raises(redis.ConnectionError):
                await client.ping()
        await client.aclose()


@pytest.fixture(scope="module")
def secure_rabbitmq(ours: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The amqps:// URL of a private RabbitMQ with a TLS listener and a certificate of our CA; and its management URL."""
    if not rabbitmq.is_installed():
        pytest.skip("no RabbitMQ programs here")
    folder = open_folder(tmp_path_factory.mktemp("rabbitmq"))
    chosen = ports.settle(folder, [*rabbitmq.PORTS, "tls"], [])
    certificate, key = ours.certify(HOST)
    more = folder.room("rabbitmq") / "conf.d"
    more.mkdir()
    (more / "tls.conf").write_text(f"""\
listeners.ssl.1 = {HOST}:{chosen["tls"]}
ssl_options.cacertfile = {ours.file}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
""")
    plain = rabbitmq.url(chosen, "secret")
    rabbitmq.begin(folder, chosen, "secret")
    try:
        await_answer(folder, rabbitmq.ROLE, lambda: rabbitmq.answers(plain))
        asyncio.run(_declare(plain))
        secure = plain.replace("amqp://", "amqps://").replace(f":{chosen['rabbitmq']}/", f":{chosen['tls']}/")
        yield secure, rabbitmq.management_url(chosen, "secret")
    finally:
        processes.stop(folder, [rabbitmq.ROLE], 1)
        processes.stop(folder, [rabbitmq.NAME_SERVER])
        rabbitmq.erase(folder)


async def _declare(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.declare_exchange(EXCHANGE, "topic", durable=True)
        await channel.declare_queue("orders.dead", durable=True, arguments={"x-queue-type": "quorum"})


def _publisher(ca: Authority | None, url: str) -> Publisher:
    return Publisher(some_settings(ca, rabbitmq_url=SecretStr(url)), "orders", set())


def _consumer(ca: Authority | None, url: str) -> Consumer:
    settings = some_settings(ca, rabbitmq_url=SecretStr(url))
    return Consumer(settings, "orders", Subscriptions(), Database(None, "orders"))  # type: ignore[arg-type]


@pytest.mark.usefixtures("unanswered")
async def test_rabbitmq_is_spoken_to_by_tls_and_its_certificate_is_checked(
    secure_rabbitmq: tuple[str, str], ours: Authority, strangers: Authority
) -> None:
    url, management_url = secure_rabbitmq
    publisher, consumer = _publisher(ours, url), _consumer(ours, url)
    await publisher.start()
    await publisher.publish("order.paid", b"{}", "application/json")
    await consumer.start()
    assert await consumer.is_connected()
    async with Management(management_url, url) as broker:
        while len(there := await broker.get("connections")) < 2 or not all(each.get("ssl_protocol") for each in there):
            await asyncio.sleep(0.02)
    assert all(each["ssl"] for each in there)
    await publisher.stop()
    await consumer.stop()

    for ca in (strangers, None):
        for refused in (_publisher(ca, url), _consumer(ca, url)):
            with pytest.raises(ConnectionError):
                await refused.start()


@pytest.mark.usefixtures("unanswered")
async def test_a_rabbitmq_without_tls_is_not_spoken_to_by_an_amqps_address(servers: Servers, ours: Authority) -> None:
    with pytest.raises(ConnectionError):
        await _publisher(ours, servers.rabbitmq.url.replace("amqp://", "amqps://")).start()


@pytest.fixture
async def stranger_over_https(ours: Authority) -> AsyncIterator[str]:
    """The address of a server that is not of the installation, with a certificate of our authority: it has no keys."""
    certificate, key = ours.certify(HOST)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b'{"keys": []}'})

    with a_port() as port:
        async with serving(app, port, ssl_certfile=certificate, ssl_keyfile=str(key), lifespan="off"):
            yield f"https://{HOST}:{number_of(port)}"


async def test_the_keys_of_tokens_come_from_an_https_address_whose_certificate_is_checked(
    ours: Authority, strangers: Authority, stranger_over_https: str
) -> None:
    place = f"{stranger_over_https}/jwks.json"
    assert await jwks.Keys.of(some_settings(ours, auth_jwks=place)).find("any") is None
    for ca in (strangers, None):
        with pytest.raises(Unavailable):
            await jwks.Keys.of(some_settings(ca, auth_jwks=place)).find("any")


async def test_a_partner_whose_certificate_is_not_believed_is_not_told_anything(
    ours: Authority, strangers: Authority, stranger_over_https: str
) -> None:
    def partner(ca: Authority | None) -> Partner:
        return Partner("twilio", stranger_over_https, tls.outward(some_settings(ca)))

    assert await partner(ours).call("POST", "/", data={"Body": "a secret"}) == {"keys": []}
    for ca in (strangers, None):
        with pytest.raises(PartnerUnknown, match="ClientConnectorCertificateError"):
            await partner(ca).call("POST", "/", data={"Body": "a secret"})
    await partners.close()
