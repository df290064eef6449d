from datetime import UTC, datetime, timedelta

import pytest

from shared.clock import Clock
from shared.database import Tx
from shared.events import Envelope
from shared.events.orders import OrderCancelled


class Server:
    """A Postgres whose clock is an hour ahead of ours."""

    def __init__(self) -> None:
        self.asked = 0

    async def fetchval(self, _: str) -> datetime:
        self.asked += 1
        return datetime.now(UTC) + timedelta(hours=1)


async def test_the_time_is_the_servers_and_it_is_not_asked_each_time() -> None:
    server, clock = Server(), Clock()

    first = await clock.now(server)
    second = await clock.now(server)

    assert abs(first - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=5)
    assert first <= second
    assert server.asked == 1


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def said_in_answer_to(source: str, at: datetime) -> datetime:
    """By when something is announced that follows from what was said at that time, when it is NOW here."""
    tx = Tx(None, "inventory", NOW, [Envelope("1", source, "order.placed", "T-1", at)])
    tx.announce([OrderCancelled(order_id="T-1", reason="-")])
    [out] = tx.outgoing
    assert out.envelope.time == tx.now
    return tx.now


@pytest.mark.parametrize("ahead", [0, 48, 900])
def test_nothing_is_said_before_what_led_to_it(ahead: int) -> None:
    cause = NOW + timedelta(milliseconds=ahead)

    assert timedelta() < said_in_answer_to("/orderbus/orders", cause) - cause < timedelta(milliseconds=1)


def test_a_clock_that_was_wrong_and_another_systems_are_not_followed() -> None:
    assert said_in_answer_to("/orderbus/orders", NOW + timedelta(days=365)) == NOW
    assert said_in_answer_to("/shops/web", NOW + timedelta(milliseconds=48)) == NOW
    assert said_in_answer_to("/orderbus/orders", NOW - timedelta(days=1)) == NOW
