"""Everything a service test stands on: an installation of its own, the service on a port, a listener on its bus."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit
from uuid import uuid4

import aio_pika
import asyncpg
import httpx
import uvicorn

from deploy.migrations import migrate
from deploy.rabbitmq import access, topology
from deploy.rabbitmq.management import Management
from deploy.sandbox.app import create_app
from deploy.sandbox.settings import Settings as SandboxSettings
from deploy.stack import credentials, keys
from deploy.stack.credentials import Credentials
from deploy.stack.servers import Servers
from deploy.stack.services import SANDBOX, settings_of
from deploy.stack.state import open_folder
from shared import codec
from shared.events import Envelope, Event
from shared.origin import EXCHANGE
from shared.service import Service
from tests.plain_http import PLAIN

Client = httpx.AsyncClient
E = TypeVar("E", bound=Event)


class Bus:
    """What another system sees of the bus."""

    def __init__(self, channel: aio_pika.abc.AbstractChannel, exchange: aio_pika.abc.AbstractExchange) -> None:
        self._channel = channel
        self._exchange = exchange
        self.heard: list[Event] = []
        self._news = asyncio.Condition()

    async def listen(self) -> None:
        """Hear everything from now on."""
        queue = await self._channel.declare_queue(exclusive=True)
        await queue.bind(self._exchange, "#")
        await queue.consume(self._receive, no_ack=True)

    async def _receive(self, message: aio_pika.abc.AbstractIncomingMessage) -> None:
        decoded = codec.decode(message.body, message.content_type, message.headers)
        assert not decoded.unreadable, decoded.unreadable
        async with self._news:
            self.heard += decoded.events
            self._news.notify_all()

    async def publish(self, *events: Event, source: str = "/orderbus/orders", id: str | None = None) -> str:
        """Publish events, several as a batch; the id of the last. The same id again is the same event again."""
        bodies = []
        for event in events:
            envelope = Envelope(id or str(uuid4()), source, event.type, event.subject, datetime.now(UTC))
            bodies.append(codec.encode(event, envelope))
        await self.publish_bytes(*codec.join(bodies), events[0].type)
        return envelope.id

    async def publish_bytes(self, body: bytes, content_type: str, routing_key: str) -> None:
        """Publish anything at all."""
        message = aio_pika.Message(body, content_type=content_type, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await self._exchange.publish(message, routing_key)

    async def expect(self, event_class: type[E], *, timeout: float = 10, count: int = 1, **fields: object) -> E:
        """Wait until an announced event of the class with these fields has been heard (`count` of them); the last."""

        def matching() -> list[E]:
            return [
                event
                for event in self.heard
                if isinstance(event, event_class) and all(getattr(event, name) == value for name, value in fields.items())
            ]

        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(lambda: len(matching()) >= count), timeout)
            except TimeoutError:
                about = [f"{e.type} {e.note()}" for e in self.heard if e.subject in map(str, fields.values())]
                raise AssertionError(f"no {event_class.type} {fields} within {timeout} s; heard: {about}") from None
        return matching()[-1]

    def all(self, event_class: type[E], **fields: object) -> list[E]:
        """What has been heard so far."""
        return [
            event
            for event in self.heard
            if isinstance(event, event_class) and all(getattr(event, name) == value for name, value in fields.items())
        ]


class House:
    """A running service with what surrounds it. `database_url` is an administrator's."""

    def __init__(self, service: Client, sandbox: Client, bus: Bus, database_url: str, rabbitmq_url: str) -> None:
        self.service = service
        self.sandbox = sandbox
        self.bus = bus
        self.database_url = database_url
        self.rabbitmq_url = rabbitmq_url


@asynccontextmanager
async def a_house(name: str, servers: Servers, folder: Path) -> AsyncIterator[House]:
    """The named service in a fresh database and vhost, with the sandbox beside it."""
    service: Service = import_module(f"services.{name}.main").service
    stack_folder = open_folder(folder)
    secrets = credentials.keep(stack_folder)
    servers = await _installation(servers, service, secrets)
    token = keys.keep(folder / "keys", datetime.now(UTC))
    async with AsyncExitStack() as stack:
        own_socket, sandbox_socket = stack.enter_context(a_port()), stack.enter_context(a_port())
        ports = {"payments": 1, "logistics": 1, SANDBOX: number_of(sandbox_socket)} | {name: number_of(own_socket)}
        with _environment(settings_of(SANDBOX, stack_folder, servers, secrets, ports)):
            sandbox_app = create_app(SandboxSettings.from_environment())
        own = settings_of(name, stack_folder, servers, secrets, ports)
        own["ORDERBUS_POSTGRES_URL"] = servers.postgres.superuser_url
        with _environment(own):
            cast(Any, service.settings).cache_clear()  # another house in this process has read its own
            settings = service.settings()
        await stack.enter_async_context(serving(sandbox_app, sandbox_socket))
        await stack.enter_async_context(serving(service.app(settings), own_socket))
        connection = await stack.enter_async_context(await aio_pika.connect(servers.rabbitmq.url))
        channel = await connection.channel()
        bus = Bus(channel, await channel.get_exchange(EXCHANGE))
        await bus.listen()
        client = await stack.enter_async_context(
            a_client(f"http://127.0.0.1:{ports[name]}", {"authorization": f"Bearer {token}"})
        )
        partners = await stack.enter_async_context(a_client(f"http://127.0.0.1:{ports[SANDBOX]}", {}))
        yield House(client, partners, bus, servers.postgres.superuser_url, servers.rabbitmq.url)


async def a_database(servers: Servers, service: str) -> str:
    """The address of a new database with the service's schema in it, and nothing that works on it."""
    name = f"t_{service}_{uuid4().hex[:8]}"
    admin = await asyncpg.connect(servers.postgres.superuser_url)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    url = urlsplit(servers.postgres.superuser_url)._replace(path=f"/{name}").geturl()
    connection = await asyncpg.connect(url)
    await migrate(connection, service)
    await connection.close()
    return url


async def a_vhost(servers: Servers, service: Service) -> str:
    """The address of a new vhost with the service's queues in it, and nobody who listens."""
    name = f"t_{service.name}_{uuid4().hex[:8]}"
    url = urlsplit(servers.rabbitmq.url)._replace(path=f"/{name}").geturl()
    async with _management(servers, url) as broker:
        await broker.put("vhosts", name)
    await topology.declare(url, [service])
    return url


def _management(servers: Servers, url: str) -> Management:
    assert servers.rabbitmq.management_url, "set ORDERBUS_RABBITMQ_MANAGEMENT_URL: the tests make a vhost each"
    return Management(servers.rabbitmq.management_url, url)


@asynccontextmanager
async def serving(app: Any, on: socket.socket, **options: Any) -> AsyncIterator[None]:
    """The application answers there in the block. `options`: uvicorn's."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2, **options))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve([on]))
    while not server.started:
        if task.done():
            task.result()
            raise AssertionError("the server ended before it started")
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task


def a_port() -> socket.socket:
    """One that is ours from now on: one that is only known to be free goes to the next outgoing connection. It is said to be
    TCP's: asyncio has a socket of no protocol wait for 40 ms between the head of an answer and its body (Nagle)."""
    taken = socket.socket(proto=socket.IPPROTO_TCP)
    taken.bind(("127.0.0.1", 0))
    return taken


def number_of(port: socket.socket) -> int:
    """As it stands in an address."""
    number: int = port.getsockname()[1]
    return number


def a_client(base_url: str, headers: Mapping[str, str]) -> Client:
    """Who asks a service, or the sandbox."""
    return Client(base_url=base_url, headers=headers, verify=PLAIN, trust_env=False, timeout=30)


async def _installation(servers: Servers, service: Service, secrets: Credentials) -> Servers:
    """A database and a vhost for one service alone, which enters the bus as its own user, as in production."""
    database, vhost = await a_database(servers, service.name), await a_vhost(servers, service)
    async with _management(servers, vhost) as broker:
        await access.let_in(broker, [service], secrets.bus_passwords)
    connection = await asyncpg.connect(database)
    await connection.execute(f"INSERT INTO {service.name}.subscribed_type SELECT unnest($1::text[])", sorted(service.handlers))
    await connection.close()
    return replace(
        servers,
        postgres=replace(servers.postgres, url=database, superuser_url=database),
        rabbitmq=replace(servers.rabbitmq, url=vhost),
    )


class _environment:  # noqa: N801 -- reads as a verb where it is used
    """These variables are set in the block, and only there: settings are read once."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._variables}
        os.environ.update(self._variables)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
