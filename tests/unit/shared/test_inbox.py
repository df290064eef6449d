"""Which events are the same event, and what is in hand."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from shared import inbox
from shared.events import Envelope, Event, received
from shared.inbox import LONGEST_WAIT, in_hand_for, key_of
from tests.builders import a_paid_order

NOW = datetime(2026, 11, 24, tzinfo=UTC)
AN_ID = "019ab5b2-0000-7000-8000-000000000001"


def key(id: str, source: str, subject: str = "T-1", alone_since: datetime = NOW) -> UUID:
    return key_of(Envelope(id, source, "order.paid", subject, NOW), alone_since)


def test_source_and_id_together_name_an_event() -> None:
    assert key("1", "/shops/a") == key("1", "/shops/a", "T-2")
    assert key("1", "/shops/a") != key("1", "/shops/b")
    assert key("1", "/shops/a") != key("2", "/shops/a")


def test_our_own_is_known_by_its_id() -> None:
    assert key(AN_ID, "/orderbus/orders") == UUID(AN_ID)
    assert key("1", "/orderbus/orders") != key("2", "/orderbus/orders")


def test_nobody_else_can_take_the_place_of_ours() -> None:
    assert key(AN_ID, "/shops/a") != UUID(AN_ID)


def test_an_event_of_before_keeps_the_key_that_other_processes_knew_it_by() -> None:
    later = NOW + timedelta(seconds=1)

    assert key(AN_ID, "/orderbus/orders", alone_since=later) != UUID(AN_ID)
    assert key(AN_ID, "/orderbus/orders", alone_since=later) == key(
        AN_ID, "/orderbus/orders", alone_since=later + timedelta(days=1)
    )


def some_events(count: int) -> list[Event]:
    event = a_paid_order()
    return [received(event, Envelope(f"E-{n}", "/shops/a", event.type, event.subject, NOW), {}, None) for n in range(count)]


async def handle(events: list[Event]) -> None:
    """By nobody, in no database: the tests say what comes of it."""
    await inbox.handle(cast(Any, None), cast(Any, None), events)


async def test_while_postgres_is_away_each_wait_is_longer_than_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    async def is_away(*_: Any) -> None:
        if len(waits) < 9:
            raise ConnectionRefusedError

    monkeypatch.setattr(inbox, "handle_once", is_away)
    monkeypatch.setattr(asyncio, "sleep", wait)
    monkeypatch.setattr(inbox.random, "uniform", lambda _, most: most)  # type: ignore[attr-defined]

    await handle(some_events(1))

    assert waits == sorted(waits)
    assert waits[:3] == [0.1, 0.2, 0.4]
    assert waits[-2:] == [LONGEST_WAIT, LONGEST_WAIT]


async def test_what_a_process_has_been_dealing_with_is_counted_until_it_is_through(monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on = asyncio.Event()

    async def waits(*_: Any) -> None:
        await may_go_on.wait()

    monkeypatch.setattr(inbox, "handle_once", waits)
    monkeypatch.setattr(inbox, "_in_hand", {})  # other tests leave some in hand for ever
    dealing = asyncio.create_task(handle(some_events(3)))
    await asyncio.sleep(0)

    assert in_hand_for(timedelta(0)) == 3
    assert in_hand_for(timedelta(minutes=1)) == 0

    may_go_on.set()
    await dealing

    assert in_hand_for(timedelta(0)) == 0
