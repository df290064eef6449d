"""What is not published stays, and whoever publishes goes on."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import structlog

from shared import outbox, seldom
from shared.database import Pool
from shared.outbox import Publisher, Relay
from shared.outgoing import Outgoing, envelop
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


class AwayBroker:
    """Takes nothing until it is back."""

    def __init__(self) -> None:
        self.is_back = False

    async def publish(self, *_: Any) -> None:
        if not self.is_back:
            raise ConnectionError


def an_order_event() -> Outgoing:
    return envelop(a_paid_order(), "orders", datetime(2026, 11, 24, tzinfo=UTC), None)


def a_relay(publisher: Publisher) -> tuple[Relay, Table]:
    table = Table()
    relay = Relay(cast(Pool, table), publisher)
    relay.publish([an_order_event()])
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


async def test_a_broker_that_is_away_does_not_drown_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    broker = AwayBroker()
    relay, _ = a_relay(broker)

    async def said_after(seconds: float, orders: int) -> list[int]:
        nonlocal now
        now += seconds
        with structlog.testing.capture_logs() as logs:
            for _ in range(orders):
                relay.publish([an_order_event()])
                await relay.drain()
        return [line["events"] for line in logs]

    assert await said_after(0, 300) == [2]
    assert await said_after(seldom.EVERY, 300) == [300]
    broker.is_back = True
    assert await said_after(1, 1) == []
    broker.is_back = False
    assert await said_after(seldom.EVERY, 1) == [1]
