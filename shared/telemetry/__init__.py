"""Logs and traces. A `traceparent` (W3C Trace Context) goes with every event, so that one order is one trace across the four
services; spans are recorded where the trace is sampled, or something failed or is slow, and there is a collector to send them
to. docs/traces.md says what is in a trace.
"""

from datetime import timedelta

from opentelemetry.sdk.trace.export import SpanExporter

from shared.settings import Settings
from shared.telemetry import calls, logs, spans, work
from shared.telemetry.calls import Call, calling, statements_of
from shared.telemetry.requests import Request
from shared.telemetry.sampling import Sampler
from shared.telemetry.spans import Span, flush
from shared.telemetry.work import about, announce, continued, handling, now, recorded_trace_id, trace_id_of, working

__all__ = [
    "Call",
    "Request",
    "Span",
    "about",
    "announce",
    "calling",
    "configure",
    "continued",
    "flush",
    "handling",
    "now",
    "recorded_trace_id",
    "statements_of",
    "trace_id_of",
    "working",
]


def configure(settings: Settings, service: str, exporter: SpanExporter | None = None) -> None:
    """Structured logs on standard output; spans to the collector, if there is one. `exporter` stands in for it in tests."""
    logs.configure(settings, service, work.ids, lambda: now().isoformat())
    exporter = exporter or spans.exporter_of(settings)
    spans.send_to(exporter, service)
    calls.tell_database(spans.database_of(settings, service))
    slow = timedelta(seconds=settings.trace_slow_seconds)
    work.decide_by(Sampler(settings.trace_ratio, settings.traces_per_second, slow) if exporter else None)
