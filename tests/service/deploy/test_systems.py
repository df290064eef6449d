"""Other systems, on a real broker: one that was let in halfway, and one that the broker has forgotten."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from deploy.cli import systems as command_line
from deploy.rabbitmq import systems, topology
from deploy.rabbitmq.management import Management, ManagementError
from deploy.rabbitmq.systems import System
from deploy.services import SERVICES
from deploy.stack import keys, state
from deploy.stack.servers import Servers

TAOBAO = System("taobao-42", "/shops/taobao-42", ("order.paid",), ("shipment.*",))


class CutShort(Management):
    """Whoever types the command loses the broker, or patience, before the queue is made."""

    async def put(self, *parts: str, **content: Any) -> None:
        if parts[0] == "queues":
            raise ManagementError("gone")
        await super().put(*parts, **content)


@pytest.fixture
async def bus(servers: Servers) -> AsyncIterator[tuple[str, str]]:
    """The management and the AMQP URL of a vhost with our exchange."""
    name = f"t_systems_{uuid4().hex[:8]}"
    url = urlsplit(servers.rabbitmq.url)._replace(path=f"/{name}").geturl()
    assert servers.rabbitmq.management_url
    async with Management(servers.rabbitmq.management_url, url) as broker:
        await broker.put("vhosts", name)
        await topology.declare(url, SERVICES.values())
        yield servers.rabbitmq.management_url, url
        await broker.delete("vhosts", name)


async def test_a_system_that_was_let_in_halfway_is_listed_and_can_be_let_in_or_removed(bus: tuple[str, str]) -> None:
    async with CutShort(*bus) as broker:
        with pytest.raises(ManagementError):
            await systems.add(broker, TAOBAO)

    async with Management(*bus) as broker:
        assert [each.source for each in await systems.everyone(broker)] == ["/shops/taobao-42"]
        assert await systems.add(broker, TAOBAO, new_password=True)
        assert await systems.everyone(broker) == [TAOBAO]
        await systems.remove(broker, "taobao-42")
        assert await systems.everyone(broker) == []
        assert await broker.get("queues", broker.vhost, systems.queue_of("taobao-42")) is None


async def test_tokens_of_a_system_that_the_broker_has_forgotten_can_be_taken_back(
    bus: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERBUS_RABBITMQ_MANAGEMENT_URL", bus[0])
    monkeypatch.setenv("ORDERBUS_RABBITMQ_URL", bus[1])
    monkeypatch.setattr(state, "CHECKOUT", tmp_path)
    folder = state.checkout_folder().room("keys")
    keys.for_system(folder, "taobao-42", "/shops/taobao-42", ["order.paid"], datetime.now(UTC), timedelta(days=7))

    first = await asyncio.to_thread(CliRunner().invoke, command_line.app, ["remove", "taobao-42"])
    second = await asyncio.to_thread(CliRunner().invoke, command_line.app, ["remove", "taobao-42"])

    assert (first.exit_code, second.exit_code) == (0, 1), first.output
    assert "has no tokens any more" in first.output
    assert "there is no system called taobao-42" in second.output
    assert not list((folder / "systems").iterdir())
