"""What is not published stays, and whoever publishes goes on."""

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from shared import outbox
from shared.database import Pool
from shared.outbox import Relay
from shared.outgoing import envelop
from tests.builders import a_paid_order


class Table:
    """Remembers which rows were removed."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    async def execute(self, _: str, ids: list[str]) -> None:
        self.removed += ids


class LostConnection:
    """What aiormq does to whoever waits for a confirm when the connection is lost."""

    async def publish(self, *_: Any) -> None:
        waiting = asyncio.get_running_loop().create_future()
        waiting.cancel()
        await waiting


class SilentBroker:
    """Takes the message and never confirms."""

    async def publish(self, *_: Any) -> None:
        await asyncio.get_running_loop().create_future()


def a_relay(publisher: LostConnection | SilentBroker) -> tuple[Relay, Table]:
    table = Table()
    relay = Relay(cast(Pool, table), publisher)
    relay.publish([envelop(a_paid_order(), "orders", datetime(2026, 11, 24, tzinfo=UTC), None)])
    return relay, table


async def test_a_connection_that_is_lost_does_not_end_whoever_publishes() -> None:
    relay, table = a_relay(LostConnection())

    await relay.drain()

    assert table.removed == []


async def test_whoever_publishes_ends_when_it_is_told_to() -> None:
    relay, table = a_relay(SilentBroker())
    draining = asyncio.create_task(relay.drain())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    draining.cancel()

    with pytest.raises(asyncio.CancelledError):
        await draining
    assert table.removed == []


async def test_a_broker_that_says_nothing_does_not_keep_the_process_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "DRAINED_WITHIN", 0)
    relay, table = a_relay(SilentBroker())

    await relay.drain()

    assert table.removed == []
