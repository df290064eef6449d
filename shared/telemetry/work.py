"""What is in hand, in this task: whom log lines are about, and, where it is recorded, the span that statements and calls are
part of. Where nothing is recorded each of these costs a look at a variable.

Events come in batches, and a transaction is one batch's. Each recorded event has a span of its own, whose parent is the span
that announced it: so one order is one trace, across whatever batches it went through. The batch's statements belong to that
span if it is the only recorded one; else to a span of the batch, in a trace of its own, linked with each event's both ways.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from opentelemetry.trace import Link, SpanKind

from shared import redaction
from shared.events import Envelope, Event
from shared.origin import EXCHANGE
from shared.telemetry import spans, traceparent
from shared.telemetry.sampling import Sampler
from shared.telemetry.spans import Span

_sampler: Sampler | None = None


@dataclass(slots=True)
class InHand:
    """What a task works on. `span`: what statements and calls are part of; `spans`: of each event whose trace is decided on
    here, None for not recorded; `trace`: the traceparent of the one thing that is in hand, None for several."""

    ids: Callable[[], Mapping[str, str]]
    spans: Mapping[Envelope, Span | None] = field(default_factory=dict)
    span: Span | None = None
    trace: str | None = None


in_hand: ContextVar[InHand | None] = ContextVar("in_hand", default=None)


def decide_by(sampler: Sampler | None) -> None:
    """From now on; None: nothing is recorded."""
    global _sampler
    _sampler = sampler


def sampler() -> Sampler | None:
    """Who decides what is recorded; None when nothing is."""
    return _sampler


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


def ids() -> Mapping[str, str]:
    """The trace and the order that are in hand: none where there are several."""
    hand = in_hand.get()
    return hand.ids() if hand is not None else {}


def about(what: Event | Envelope) -> dict[str, str]:
    """What a log line about one event, or about what it led to, says of it."""
    order_id = what.correlation_id or what.subject if isinstance(what, Envelope) else getattr(what, "order_id", None)
    said = {"trace_id": trace_id_of(_envelope_of(what))}
    return said | {"order_id": order_id} if order_id else said


def trace_id_of(envelope: Envelope) -> str:
    """The trace of an event, whether or not it is recorded."""
    return traceparent.of_event(envelope)[3:35]


def recorded_trace_id(cause: Envelope) -> str | None:
    """The trace that goes on from an event, if there is something of it to be seen: for exemplars."""
    if _sampler is None or not traceparent.is_sampled(came := onward(cause)):
        return None
    return came[3:35]


def onward(cause: Envelope) -> str:
    """The traceparent of what follows from an event: the span that handles it, or else the trace it came with."""
    hand = in_hand.get()
    if hand is None or not hand.spans or cause not in hand.spans:
        return traceparent.of_event(cause)
    span = hand.spans[cause]
    return span.traceparent if span else traceparent.unsampled(traceparent.of_event(cause))


def continued(cause: Envelope) -> Envelope:
    """The cause as an intent should keep it: the trace goes on from the span that wrote the intent."""
    return replace(cause, traceparent=onward(cause))


def handling(events: Sequence[Event]) -> AbstractContextManager[None]:
    """The events are dealt with in here, in one transaction."""
    recorded: dict[Envelope, Span | None] = {}
    if _sampler is not None:
        at = now()
        for event in events:
            envelope = event.envelope
            if not envelope.is_ours:
                recorded[envelope] = _process(event) if _sampler.begins(asked_for=_is_sampled(envelope)) else None
            elif _goes_on(_sampler, envelope, at):
                recorded[envelope] = _process(event)
    alone = events[0] if len(events) == 1 else None
    return _holding(f"batch {events[0].type}", len(events), recorded, alone, partial(_process, events[0]))


def working(name: str, causes: Sequence[Envelope]) -> AbstractContextManager[None]:
    """What these events, or requests, led to is done in here: a job's call, or a transaction of several."""
    recorded: dict[Envelope, Span | None] = {}
    if _sampler is not None:
        at = now()
        recorded = {cause: _work(name, cause) for cause in causes if _goes_on(_sampler, cause, at)}
    alone = causes[0] if len(causes) == 1 else None
    return _holding(f"batch {name}", len(causes), recorded, alone, lambda began: _work(name, causes[0], began))


def _is_sampled(envelope: Envelope) -> bool:
    return envelope.traceparent is not None and traceparent.is_sampled(envelope.traceparent)


def _goes_on(sampler: Sampler, envelope: Envelope, at: datetime) -> bool:
    return _is_sampled(envelope) or (sampler.is_slow(envelope.time, at) and sampler.keeps())


@contextmanager
def _holding(
    batch: str, count: int, spans_of: Mapping[Envelope, Span | None], alone: Event | Envelope | None, late: Callable[[int], Span]
) -> Iterator[None]:
    recorded = [span for span in spans_of.values() if span]
    whole = recorded[0] if recorded else None
    if len(recorded) > 1:
        whole = spans.root(batch, SpanKind.INTERNAL, {})
        whole.links += [Link(span.context) for span in recorded]
        for span in recorded:
            span.links.append(Link(whole.context))
        recorded.append(whole)
    if whole and count > 1:
        whole.attributes["messaging.batch.message_count"] = count
    hand = InHand(dict, spans_of, whole)
    if alone is not None:
        hand.ids, hand.trace = partial(about, alone), traceparent.of_event(_envelope_of(alone))
    token, began, failure = in_hand.set(hand), time.time_ns(), None
    try:
        yield
    except BaseException as error:
        failure = error
        if alone and not recorded and _sampler is not None and _sampler.keeps():
            recorded.append(late(began))
        raise
    finally:
        in_hand.reset(token)
        for span in recorded:
            span.end(failure)


def _envelope_of(what: Event | Envelope) -> Envelope:
    return what if isinstance(what, Envelope) else what.envelope


def _process(event: Event, began: int | None = None) -> Span:
    envelope, origin = event.envelope, event.origin
    came_by = (origin.exchange, origin.routing_key, origin.queue) if origin else (EXCHANGE, event.type)
    return spans.child_of(
        traceparent.of_event(envelope),
        f"process {event.type}",
        SpanKind.CONSUMER,
        _message("process", ":".join(came_by), event.type, envelope.id) | _order(getattr(event, "order_id", None)),
        began,
    )


def _work(name: str, cause: Envelope, began: int | None = None) -> Span:
    order_id = cause.correlation_id or cause.subject
    return spans.child_of(traceparent.of_event(cause), name, SpanKind.INTERNAL, _order(order_id), began)


def announce(event: Event, id: str, cause: Envelope | None) -> tuple[str, Span | None]:
    """The traceparent of an event that is announced and, where it is recorded, the span that lasts until the broker has it."""
    came = onward(cause) if cause else None
    if _sampler is None or not (traceparent.is_sampled(came) if came else _sampler.begins()):
        return came or traceparent.new(), None
    span = _send(event, id, came)
    return span.traceparent, span


def _send(event: Event, id: str, came: str | None) -> Span:
    name, said = f"send {event.type}", _message("send", f"{EXCHANGE}:{event.type}", event.type, id)
    said |= _order(getattr(event, "order_id", None))
    return spans.child_of(came, name, SpanKind.PRODUCER, said) if came else spans.root(name, SpanKind.PRODUCER, said)


def _message(operation: str, destination: str, routing_key: str, id: str) -> dict[str, Any]:
    """OpenTelemetry's conventions for messaging, and for RabbitMQ."""
    return {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": destination,
        "messaging.rabbitmq.destination.routing_key": routing_key,
        "messaging.message.id": redaction.text(id),
    }


def _order(order_id: str | None) -> dict[str, Any]:
    return {"orderbus.order_id": redaction.text(order_id)} if order_id else {}
