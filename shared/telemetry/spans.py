"""Spans, and where they go.

A span is written down when its work is over, in the SDK's own form, and handed to the SDK's batch processor and exporters.
What the SDK's tracer does before that, samplers, limits and contexts, is decided here elsewhere and would cost ten times as
much; and it cannot write down, afterwards, what failed without having been sampled.
"""

import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from shared import redaction
from shared.settings import Settings
from shared.telemetry import traceparent

_SCOPE = InstrumentationScope("orderbus")
_OK = Status()
_RECORDED = TraceFlags(TraceFlags.SAMPLED)

WAITING = 8_192
"""Spans that wait to be sent; the SDK drops what does not fit, and logs it."""

PATIENCE = 3.0
"""Seconds for the collector to take what it is sent, and for the process to end."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where this process's spans go, and what is said of it with each lot."""

    resource: Resource
    processor: SpanProcessor


_destination: Destination | None = None


class Span:
    """One piece of work that is recorded, from its beginning on; `end` sends it."""

    __slots__ = ("_began", "_kind", "_parent", "attributes", "context", "links", "name")

    def __init__(
        self,
        name: str,
        kind: SpanKind,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: dict[str, Any],
        began: int | None = None,
    ) -> None:
        self.name = name
        self.context = context
        self.attributes = attributes
        self.links: list[Link] = []
        self._kind = kind
        self._parent = parent
        self._began = time.time_ns() if began is None else began

    @property
    def traceparent(self) -> str:
        """Of what follows from it."""
        return traceparent.write(self.context)

    def child(self, name: str, kind: SpanKind, attributes: dict[str, Any], began: int | None = None) -> "Span":
        """A part of it."""
        return Span(name, kind, _fresh(self.context.trace_id), self.context, attributes, began)

    def end(self, error: BaseException | str | None = None) -> None:
        """It is over. `error`: what it failed with; an exception is told by its kind and its places, without its text."""
        if _destination is None:
            return
        ended = time.time_ns()
        status, events = _OK, []
        if error is not None:
            kind, said = (error, error) if isinstance(error, str) else (type(error).__qualname__, redaction.summary(error))
            self.attributes["error.type"] = kind
            status = Status(StatusCode.ERROR, said)
            if isinstance(error, BaseException):
                told = {"exception.type": kind, "exception.message": said}
                events = [Event("exception", told | {"exception.stacktrace": redaction.exception(error)}, ended)]
        _destination.processor.on_end(
            ReadableSpan(
                self.name,
                self.context,
                self._parent,
                _destination.resource,
                self.attributes,
                events,
                self.links,
                self._kind,
                status=status,
                start_time=self._began,
                end_time=ended,
                instrumentation_scope=_SCOPE,
            )
        )


def child_of(cause: str, name: str, kind: SpanKind, attributes: dict[str, Any], began: int | None = None) -> Span:
    """A span of the trace that a traceparent names. Its parent is the span named there, if that one is recorded. `began`: when,
    in nanoseconds since 1970, if not now."""
    parent = traceparent.read(cause)
    assert parent is not None, f"not a traceparent: {cause}"
    return Span(name, kind, _fresh(parent.trace_id), parent if parent.trace_flags.sampled else None, attributes, began)


def root(name: str, kind: SpanKind, attributes: dict[str, Any]) -> Span:
    """The first span of a trace."""
    return Span(name, kind, _fresh(traceparent.new_trace_id()), None, attributes)


def _fresh(trace_id: int) -> SpanContext:
    return SpanContext(trace_id, traceparent.new_span_id(), is_remote=False, trace_flags=_RECORDED)


def send_to(exporter: SpanExporter | None, service: str) -> None:
    """From now on spans go there, in the background; None: nowhere."""
    global _destination
    if _destination is not None:
        _destination.processor.shutdown()
    if exporter is None:
        _destination = None
        return
    resource = Resource.create(
        {
            "service.name": f"orderbus-{service}",
            "service.namespace": "orderbus",
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        }
    )
    _destination = Destination(resource, BatchSpanProcessor(exporter, max_queue_size=WAITING))


def exporter_of(settings: Settings) -> SpanExporter | None:
    """What speaks to the collector that the settings name. Its other settings (headers, certificates, compression) are the
    SDK's own OTEL_EXPORTER_OTLP_ variables."""
    if not settings.otlp_endpoint:
        return None
    if settings.otlp_protocol == "grpc":
        # not above: it takes 20 MB that most do not need
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc

        return OverGrpc(settings.otlp_endpoint, timeout=PATIENCE)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp

    return OverHttp(f"{settings.otlp_endpoint.rstrip('/')}/v1/traces", timeout=PATIENCE)


def flush() -> None:
    """Before the process ends: send the spans that are still in hand. A collector that is away is not waited for."""
    if _destination is not None:
        sending = threading.Thread(target=_destination.processor.force_flush, daemon=True)
        sending.start()
        sending.join(PATIENCE)


def database_of(settings: Settings, service: str) -> Mapping[str, Any]:
    """What the spans of statements say of the database (OpenTelemetry's conventions for PostgreSQL)."""
    url = urlsplit(settings.postgres_url.get_secret_value())
    said = {"db.system.name": "postgresql", "db.namespace": f"{url.path.removeprefix('/')}|{service}"}
    return said | ({"server.address": url.hostname} if url.hostname else {})
