"""One order is one trace."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import outgoing, telemetry
from shared.events import Envelope
from shared.events.orders import OrderCancelled
from shared.settings import Settings

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def some_settings() -> Settings:
    told: dict[str, Any] = {"postgres_url": "x", "rabbitmq_url": "x", "auth_jwks": "x"}
    return Settings(**told)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    telemetry.configure(some_settings(), "orders", exporter)
    yield exporter
    telemetry.configure(some_settings(), "orders")


def an_envelope(traceparent: str | None, id: str = "1", subject: str = "T-1") -> Envelope:
    return Envelope(id, "/orderbus/orders", "order.placed", subject, NOW, traceparent=traceparent)


def followed_by(cause: Envelope) -> Envelope:
    return outgoing.envelop(OrderCancelled(order_id=cause.subject, reason="x"), "inventory", NOW, cause).envelope


def test_what_follows_from_an_event_is_a_child_of_the_span_that_handled_it(spans: InMemorySpanExporter) -> None:
    placed = an_envelope(telemetry.new_traceparent())

    with telemetry.handling([placed]):
        first = followed_by(placed)
    with telemetry.handling([first]):
        second = followed_by(first)

    telemetry.flush()
    one, two = spans.get_finished_spans()
    assert telemetry.trace_id_of(placed.traceparent) == telemetry.trace_id_of(second.traceparent)
    assert two.parent is not None
    assert two.parent.span_id == one.get_span_context().span_id  # type: ignore[union-attr]
    assert (first.causation_id, second.causation_id) == ("1", first.id)


def test_each_event_of_a_batch_keeps_its_own_trace(spans: InMemorySpanExporter) -> None:
    batch = [an_envelope(telemetry.new_traceparent(), str(n), f"T-{n}") for n in range(3)]

    with telemetry.handling(batch):
        following = [followed_by(cause) for cause in batch]

    telemetry.flush()
    assert len(spans.get_finished_spans()) == 3
    assert [telemetry.trace_id_of(e.traceparent) for e in following] == [telemetry.trace_id_of(e.traceparent) for e in batch]


def test_a_trace_that_was_not_sampled_makes_no_spans_but_goes_on(spans: InMemorySpanExporter) -> None:
    cause = an_envelope("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")

    with telemetry.handling([cause]):
        following = followed_by(cause)

    telemetry.flush()
    assert not spans.get_finished_spans()
    assert following.traceparent == cause.traceparent


def test_without_a_collector_nothing_is_sampled() -> None:
    telemetry.configure(some_settings(), "orders")

    assert telemetry.new_traceparent().endswith("-00")


NO_TRACE = f"00-{'0' * 32}-{'0' * 16}-01"
NO_HEX = f"00-{'g' * 32}-{'g' * 16}-01"


@pytest.mark.parametrize("nonsense", [None, "", "x", "00-0-0-00", NO_TRACE, NO_HEX])
def test_a_traceparent_that_is_none_is_not_one(nonsense: str | None) -> None:
    assert telemetry.read_traceparent(nonsense) is None
