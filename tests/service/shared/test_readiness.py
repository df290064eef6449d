"""Readiness is about requests: they are taken as long as Postgres answers, whatever becomes of the broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest

from deploy.stack import keys
from deploy.stack.servers import Servers
from services.orders.main import service
from services.orders.settings import settings
from shared.bus.broker import dead_queue_name, queue_name
from tests.faults.proxy import Link
from tests.service.house import Client, a_client, a_database, a_port, a_vhost, number_of, serving

NOBODY_LISTENS = 1


@dataclass
class Linked:
    """Orders, running, its ways to its servers, and the broker's own port."""

    orders: Client
    postgres: Link
    rabbitmq: Link
    broker: int

    async def until(self, status: int, **answers: bool) -> None:
        """Returns once readiness is this."""
        while True:
            ready = await self.orders.get("/health/ready")
            if (ready.status_code, ready.json()) == (status, answers):
                return


@pytest.fixture
async def linked(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Linked]:
    async with AsyncExitStack() as stack:

        async def through_a_link(url: str) -> tuple[str, Link]:
            parts = urlsplit(url)
            link = Link(str(parts.hostname), int(parts.port or 0))
            await link.open()
            stack.push_async_callback(link.close)
            user, _, _ = parts.netloc.rpartition("@")
            return parts._replace(netloc=f"{user}@127.0.0.1:{link.port}").geturl(), link

        postgres_url, postgres = await through_a_link(await a_database(servers, service.name))
        vhost = await a_vhost(servers, service)
        rabbitmq_url, rabbitmq = await through_a_link(vhost)
        keys.keep(tmp_path, datetime.now(UTC))
        told = {"POSTGRES_URL": postgres_url, "RABBITMQ_URL": rabbitmq_url, "AUTH_JWKS": str(keys.jwks_path(tmp_path))}
        for name, value in told.items():
            monkeypatch.setenv(f"ORDERBUS_{name}", value)
        settings.cache_clear()  # another test of this process has read its own
        stack.callback(settings.cache_clear)
        port = stack.enter_context(a_port())
        await stack.enter_async_context(serving(service.app(settings()), port))
        client = await stack.enter_async_context(a_client(f"http://127.0.0.1:{number_of(port)}", {}))
        await _hears_everything(vhost)
        yield Linked(client, postgres, rabbitmq, int(urlsplit(vhost).port or 0))
        postgres.restore()


async def _hears_everything(vhost: str) -> None:
    """Returns once it does: a process that loses the broker while it begins ends, and is started again."""
    async with await aio_pika.connect(vhost) as connection:
        channel = await connection.channel()
        for name in [dead_queue_name(service.name), *(queue_name(service.name, type) for type in service.handlers)]:
            while not (await channel.declare_queue(name, passive=True)).declaration_result.consumer_count:
                await asyncio.sleep(0.02)


async def test_orders_are_taken_while_the_broker_is_away(linked: Linked) -> None:
    await linked.until(200, postgres=True, rabbitmq=True)

    linked.rabbitmq.lead_to(NOBODY_LISTENS)
    linked.rabbitmq.cut()

    await linked.until(200, postgres=True, rabbitmq=False)

    linked.rabbitmq.lead_to(linked.broker)
    await linked.until(200, postgres=True, rabbitmq=True)


async def test_none_are_taken_while_postgres_is(linked: Linked) -> None:
    linked.postgres.swallow()

    await linked.until(503, postgres=False, rabbitmq=True)


def test_both_answers_are_in_the_contract() -> None:
    answers: dict[str, Any] = service.openapi()["paths"]["/health/ready"]["get"]["responses"]

    schemas = [answers[status]["content"]["application/json"]["schema"] for status in ("200", "503")]
    assert schemas == [{"$ref": "#/components/schemas/Readiness"}] * 2
