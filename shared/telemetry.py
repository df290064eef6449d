"""Logs and traces. A `traceparent` (W3C Trace Context) goes with every event, so that one order is one trace across
the four services; spans are made only for sampled ones, and only when there is a collector to send them to."""

import logging
import random
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from shared import redaction
from shared.events import Envelope
from shared.settings import Settings

_random = random.Random()  # ids of traces are no secrets
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
"""As W3C Trace Context writes it; ids of zeros alone name nothing."""

_spans: ContextVar[dict[str, Span] | None] = ContextVar("spans", default=None)
_provider: TracerProvider | None = None
_tracer: trace.Tracer | None = None
_ratio = 0.0


def configure(settings: Settings, service: str, exporter: SpanExporter | None = None) -> None:
    """Structured logs on standard output; spans to the collector, if there is one. `exporter` stands in for it in tests."""
    global _provider, _tracer, _ratio
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redaction.processor,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    structlog.contextvars.bind_contextvars(service=service)
    redaction.take_over_logging(service, lambda: now().isoformat())
    if settings.otlp_endpoint or exporter:
        _provider = TracerProvider(resource=Resource.create({"service.name": f"orderbus-{service}"}))
        _provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter(f"{settings.otlp_endpoint}/v1/traces")))
        _tracer, _ratio = _provider.get_tracer("orderbus"), settings.trace_ratio
    else:
        _provider, _tracer, _ratio = None, None, 0.0


def flush() -> None:
    """Before the process ends: send the spans that are still in hand."""
    if _provider is not None:
        _provider.force_flush(timeout_millis=3_000)


def new_traceparent() -> str:
    """A trace that begins here, sampled by the ratio that is set."""
    sampled = _tracer is not None and _random.random() < _ratio
    return f"00-{_random.getrandbits(128) or 1:032x}-{_random.getrandbits(64) or 1:016x}-{'01' if sampled else '00'}"


def read_traceparent(value: str | None) -> SpanContext | None:
    """The span context a traceparent names, or None for what is not one."""
    found = _TRACEPARENT.fullmatch(value or "")
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id for a log line or a timeline."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    return found[1] if found else None


@contextmanager
def handling(envelopes: Sequence[Envelope], job: str | None = None) -> Iterator[None]:
    """A span for each sampled event of a batch, or for a job that one of them led to; child of the span that announced it."""
    spans: dict[str, Span] = {}
    if _tracer is not None:
        for envelope in envelopes:
            parent = read_traceparent(envelope.traceparent)
            if parent is not None and parent.trace_flags.sampled:
                spans[envelope.id] = _tracer.start_span(
                    job or f"process {envelope.type}",
                    context=trace.set_span_in_context(NonRecordingSpan(parent)),
                    kind=SpanKind.CLIENT if job else SpanKind.CONSUMER,
                    attributes={
                        "messaging.system": "rabbitmq",
                        "messaging.message.id": envelope.id,
                        "messaging.batch.message_count": len(envelopes),
                        "orderbus.subject": envelope.subject,
                    },
                )
    token = _spans.set(spans)
    try:
        yield
    except BaseException as error:
        for span in spans.values():
            # not record_exception, which would send the texts of exceptions, and so perhaps a person's data
            told = {"exception.type": type(error).__qualname__, "exception.message": redaction.summary(error)}
            span.add_event("exception", told | {"exception.stacktrace": redaction.exception(error)})
        raise
    finally:
        _spans.reset(token)
        for span in spans.values():
            span.end()


def onward(cause: Envelope) -> str | None:
    """The traceparent of what follows from an event: the span that handles it, or else the trace it came with."""
    span = (_spans.get() or {}).get(cause.id)
    if span is None:
        return cause.traceparent
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def continued(cause: Envelope) -> Envelope:
    """The cause as an intent should keep it: the trace goes on from the span that wrote the intent."""
    return replace(cause, traceparent=onward(cause))


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)
