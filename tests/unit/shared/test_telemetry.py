"""One order is one trace; what is recorded of it is bounded, and failures and slowness always are."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.types import Scope

from shared import outgoing, redaction, telemetry
from shared.events import Envelope, Event, received
from shared.events.orders import OrderCancelled
from shared.settings import Settings
from shared.telemetry import traceparent, work

NEVER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
ALWAYS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

ONE_IN_A_TEST = 0.001
"""A second: no test lasts so long that there would be another."""


def some_settings(**told: Any) -> Settings:
    needed = {"postgres_url": "postgresql://o:secret@db/bus", "rabbitmq_url": "x", "auth_jwks": "x", "otlp_endpoint": None}
    return Settings(**needed | told)


class Recorded:
    """What this process has recorded so far."""

    def __init__(self) -> None:
        self.decide()

    def decide(self, **told: Any) -> None:
        self.exporter = InMemorySpanExporter()
        telemetry.configure(some_settings(**told), "orders", self.exporter)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        telemetry.flush()
        return {span.name: span for span in self.exporter.get_finished_spans()}

    def count(self, name: str) -> int:
        telemetry.flush()
        return [span.name for span in self.exporter.get_finished_spans()].count(name)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    yield Recorded()
    telemetry.configure(some_settings(), "orders")
    work.in_hand.set(None)  # a request is in hand for as long as its task lasts, and the tests' goes on
    structlog.reset_defaults()


def an_event(traceparent: str | None, id: str = "1", *, source: str = "/orderbus/orders", at: datetime | None = None) -> Event:
    order_id = f"T-{id}"
    envelope = Envelope(id, source, "order.cancelled", order_id, at or telemetry.now(), traceparent=traceparent)
    return received(OrderCancelled(order_id=order_id, reason="x"), envelope)


def announced(cause: Event) -> outgoing.Outgoing:
    """What follows from an event, as it is announced."""
    event = OrderCancelled(order_id=cause.subject, reason="x")
    return outgoing.envelop(event, "inventory", telemetry.now(), cause.envelope)


def sent(cause: Event) -> Event:
    """What follows from an event, once the broker has it."""
    out = announced(cause)
    if out.span:
        out.span.end()
    return received(out.event, out.envelope)


def span_id(span: ReadableSpan) -> int:
    assert span.context
    return int(span.context.span_id)


def trace_of(span: ReadableSpan) -> str:
    assert span.context
    return f"{span.context.trace_id:032x}"


def told(span: ReadableSpan, attribute: str) -> Any:
    return (span.attributes or {})[attribute]


def parent_id(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def test_what_follows_from_an_event_is_sent_by_the_span_that_processes_it(recorded: Recorded) -> None:
    first = an_event(ALWAYS)

    with telemetry.handling([first]):
        second = sent(first)
    process, send = recorded.spans["process order.cancelled"], recorded.spans["send order.cancelled"]
    with telemetry.handling([second]):
        pass

    assert parent_id(process) == int(ALWAYS.split("-")[2], 16)
    assert parent_id(send) == span_id(process)
    assert parent_id(recorded.spans["process order.cancelled"]) == span_id(send)
    assert telemetry.trace_id_of(second.envelope) == telemetry.trace_id_of(first.envelope) == ALWAYS.split("-")[1]
    assert second.envelope.causation_id == "1"


def test_each_event_of_a_batch_keeps_its_own_trace_and_is_linked_with_the_batch(recorded: Recorded) -> None:
    batch = [an_event(traceparent.new()[:-2] + "01", str(n)) for n in range(3)]

    with telemetry.handling(batch):
        following = [sent(event) for event in batch]

    traces = [telemetry.trace_id_of(event.envelope) for event in batch]
    assert [telemetry.trace_id_of(event.envelope) for event in following] == traces
    whole = recorded.spans["batch order.cancelled"]
    assert whole.parent is None
    assert [f"{link.context.trace_id:032x}" for link in whole.links] == traces
    assert [link.context.span_id for link in recorded.spans["process order.cancelled"].links] == [span_id(whole)]


def test_a_trace_that_is_not_sampled_has_no_spans_but_goes_on(recorded: Recorded) -> None:
    event = an_event(NEVER)

    with telemetry.handling([event]):
        out = announced(event)

    assert (out.envelope.traceparent, out.span, recorded.spans) == (NEVER, None, {})
    assert telemetry.recorded_trace_id(event.envelope) is None


def test_without_a_collector_nothing_is_recorded() -> None:
    telemetry.configure(some_settings(), "orders")

    out = outgoing.envelop(OrderCancelled(order_id="T-1", reason="x"), "orders", telemetry.now(), None)

    assert (out.envelope.traceparent or "")[-2:] == "00"
    structlog.reset_defaults()


def test_no_more_traces_begin_in_a_second_than_are_allowed_whoever_asks(recorded: Recorded) -> None:
    recorded.decide(traces_per_second=ONE_IN_A_TEST)
    flood = [an_event(ALWAYS, str(n), source="/shops/mine") for n in range(50)]

    with telemetry.handling(flood):
        flags = [(announced(event).envelope.traceparent or "")[-2:] for event in flood]

    assert flags.count("01") == recorded.count("process order.cancelled") == 1


def test_none_of_the_traces_that_begin_is_recorded_at_a_share_of_nothing(recorded: Recorded) -> None:
    recorded.decide(trace_ratio=0)
    event = an_event(None, source="/shops/mine")

    with telemetry.handling([event]):
        assert announced(event).span is None
    assert recorded.spans == {}


def test_what_another_system_says_without_a_trace_begins_one_that_is_the_same_for_whoever_hears_it(recorded: Recorded) -> None:
    event = an_event(None, source="/shops/mine")

    with telemetry.handling([event]):
        following = sent(event)

    process = recorded.spans["process order.cancelled"]
    assert process.parent is None
    assert trace_of(process) == telemetry.trace_id_of(event.envelope) == telemetry.trace_id_of(following.envelope)
    assert telemetry.trace_id_of(an_event("nonsense", source="/shops/mine").envelope) == telemetry.trace_id_of(event.envelope)
    assert telemetry.trace_id_of(an_event(None, source="/shops/yours").envelope) != telemetry.trace_id_of(event.envelope)


def test_an_event_that_fails_is_recorded_though_its_trace_is_not(recorded: Recorded) -> None:
    with pytest.raises(KeyError), telemetry.handling([an_event(NEVER)]):
        raise KeyError("李雷")

    span = recorded.spans["process order.cancelled"]
    assert (trace_of(span), span.parent) == (NEVER.split("-")[1], None)
    assert told(span, "error.type") == "KeyError"
    assert "test_telemetry.py" in str(span.events[0].attributes)
    assert "李雷" not in span.to_json()


def test_of_a_batch_that_fails_the_guilty_one_is_recorded_once_it_is_alone(recorded: Recorded) -> None:
    with pytest.raises(KeyError), telemetry.handling([an_event(NEVER, "1"), an_event(NEVER, "2")]):
        raise KeyError

    assert recorded.spans == {}


def test_an_event_that_has_waited_long_is_recorded_and_so_is_what_follows_from_it(recorded: Recorded) -> None:
    event = an_event(NEVER, at=telemetry.now() - timedelta(minutes=1))

    with telemetry.handling([event]):
        following = sent(event)

    assert recorded.spans.keys() == {"process order.cancelled", "send order.cancelled"}
    assert telemetry.recorded_trace_id(following.envelope) == NEVER.split("-")[1]


def test_failures_are_recorded_so_often_and_no_more(recorded: Recorded) -> None:
    recorded.decide(traces_per_second=ONE_IN_A_TEST)

    for n in range(50):
        with pytest.raises(KeyError), telemetry.handling([an_event(NEVER, str(n))]):
            raise KeyError

    assert recorded.count("process order.cancelled") == 1


def a_request(traceparent: str | None = None, method: str = "POST", path: str = "/api/orders") -> telemetry.Request:
    headers = [(b"traceparent", traceparent.encode())] if traceparent else []
    scope: Scope = {"type": "http", "method": method, "path": path, "scheme": "http", "headers": headers}
    return telemetry.Request(scope)


def test_a_request_that_is_let_in_begins_a_trace_or_goes_on_with_the_callers(recorded: Recorded) -> None:
    for given in (None, ALWAYS):
        request = a_request(given)
        onward = request.admit()
        request.end("/api/orders", 201, None)

        span = recorded.spans["POST /api/orders"]
        assert int(onward.split("-")[2], 16) == span_id(span)
        assert parent_id(span) == (int(given.split("-")[2], 16) if given else None)
        assert told(span, "http.response.status_code") == 201


def test_a_request_that_is_not_let_in_uses_up_nothing(recorded: Recorded) -> None:
    recorded.decide(traces_per_second=ONE_IN_A_TEST)
    for _ in range(10):
        a_request(ALWAYS).end("/api/orders", 401, None)

    assert recorded.spans == {}
    assert traceparent.is_sampled(a_request().admit())


def test_a_request_that_fails_is_recorded_with_what_it_failed_of(recorded: Recorded) -> None:
    request = a_request(method="GET")
    request.end("/api/orders", 500, ValueError("of 李雷"))

    span = recorded.spans["GET /api/orders"]
    assert told(span, "error.type") == "ValueError"
    assert "李雷" not in span.to_json()


def test_a_path_is_recorded_without_what_is_personal_and_not_at_any_length(recorded: Recorded) -> None:
    a_request(path="/api/orders/li.lei@example.com").end("/api/orders/{order_id}", 500, None)
    a_request(method="GET", path="/" + "x" * 60_000).end("unmatched", 500, None)

    assert "li.lei" not in recorded.spans["POST /api/orders/{order_id}"].to_json()
    assert len(told(recorded.spans["GET unmatched"], "url.path")) <= redaction.LONGEST


def test_of_a_path_that_is_no_order_id_a_log_line_says_the_beginning(
    recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded.decide()  # from here on lines go where capsys reads
    scope: Scope = {"type": "http", "headers": [], "path_params": {"order_id": "x" * 60_000}}
    request = telemetry.Request(scope)

    structlog.get_logger().warning("asked")

    assert f'"order_id":"{"x" * 64}"' in capsys.readouterr().out.replace(": ", ":")
    del request


def test_a_log_line_says_which_trace_and_order_it_is_about(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    recorded.decide()  # from here on lines go where capsys reads
    with telemetry.handling([an_event(ALWAYS)]):
        structlog.get_logger().warning("one")
    with telemetry.handling([an_event(ALWAYS), an_event(NEVER, "2")]):
        structlog.get_logger().warning("several")
        structlog.get_logger().warning("one of them", **telemetry.about(an_event(NEVER, "2")))

    one, several, one_of_them = map(json.loads, capsys.readouterr().out.splitlines())
    assert (one["trace_id"], one["order_id"]) == (ALWAYS.split("-")[1], "T-1")
    assert not {"trace_id", "order_id"} & several.keys()
    assert one_of_them["order_id"] == "T-2"


NO_TRACE = f"00-{'0' * 32}-{'0' * 16}-01"
NO_HEX = f"00-{'g' * 32}-{'g' * 16}-01"


@pytest.mark.parametrize("nonsense", [None, "", "x", "00-0-0-00", NO_TRACE, NO_HEX])
def test_a_traceparent_that_is_none_is_not_one(nonsense: str | None) -> None:
    assert traceparent.read(nonsense) is None
