"""An event takes effect once, whatever time it says of itself and however late it comes."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from deploy.stack.servers import Servers
from shared import inbox
from shared.clock import Clock
from shared.database import Database, Tx, connect
from shared.events import Envelope, Event, received
from shared.retention import forget
from shared.settings import Settings
from tests.builders import a_paid_order
from tests.service.house import a_database


class Service:
    """Notes what takes effect."""

    def __init__(self, pool: asyncpg.Pool, settings: Settings) -> None:
        self._settings = settings
        self.database = Database(pool, "orders", inbox_days=settings.inbox_days)
        self.took_effect: list[str] = []

    async def hear(self, *events: Event) -> None:
        await inbox.handle_once(self.database, self._handle, events)

    async def _handle(self, events: list[Event], _: Tx) -> None:
        self.took_effect += [event.envelope.id for event in events]

    async def forget(self) -> None:
        await forget(self.database.pool, self._settings)


@pytest.fixture
async def service(servers: Servers) -> AsyncIterator[Service]:
    told: Any = {"postgres_url": await a_database(servers, "orders"), "rabbitmq_url": "amqp://"}
    settings = Settings(**told, auth_jwks="")
    pool = await connect(settings, "orders")
    yield Service(pool, settings)
    pool.terminate()


def an_event(id: str, time: Any, source: str = "/shops/a") -> Event:
    event = a_paid_order()
    return received(event, Envelope(id, source, event.type, event.subject, time), {}, None)


async def now(service: Service) -> Any:
    return await service.database.pool.fetchval("SELECT now()")


@pytest.mark.parametrize("days", [16, 31, 36, 400])
async def test_what_first_comes_late_is_known_when_it_comes_again(service: Service, days: int) -> None:
    late = an_event("late", await now(service) - timedelta(days=days))

    await service.hear(late)
    await service.forget()
    await service.hear(late)

    assert service.took_effect == ["late"]


async def later(service: Service, monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """From now on it is so much later."""
    at = await now(service) + by

    async def told(*_: Any) -> Any:
        return at

    monkeypatch.setattr(Clock, "now", told)


@pytest.mark.parametrize("source", ["/shops/a", "/orderbus/orders"])
async def test_what_came_in_time_is_known_when_it_comes_again_late(
    service: Service, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    event, new = an_event("1", await now(service), source), an_event("2", await now(service), source)
    await service.hear(event)

    await later(service, monkeypatch, timedelta(days=20))
    await service.hear(event, new)
    await service.hear(new)

    assert service.took_effect == ["1", "2"]


async def test_what_says_a_time_that_is_yet_to_come_is_known_when_it_has_come(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = an_event("1", await now(service) + timedelta(days=2))
    await service.hear(event)

    await later(service, monkeypatch, timedelta(days=1, minutes=1))
    await service.hear(event)

    assert service.took_effect == ["1"]
