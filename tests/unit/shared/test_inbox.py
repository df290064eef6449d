"""Which events are the same event."""

from datetime import UTC, datetime

from shared.events import Envelope
from shared.inbox import key_of


def an_envelope(id: str, source: str, subject: str = "T-1") -> Envelope:
    return Envelope(id, source, "order.paid", subject, datetime(2026, 11, 24, tzinfo=UTC))


def test_source_and_id_together_name_an_event() -> None:
    assert key_of(an_envelope("1", "/shops/a")) == key_of(an_envelope("1", "/shops/a", "T-2"))
    assert key_of(an_envelope("1", "/shops/a")) != key_of(an_envelope("1", "/shops/b"))
    assert key_of(an_envelope("1", "/shops/a")) != key_of(an_envelope("2", "/shops/a"))
