"""Which events are the same event."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared.events import Envelope
from shared.inbox import key_of

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
