"""`traceparent` (W3C Trace Context): the trace that an event or a request belongs to, the span it came from, and whether
somebody records it."""

import random
import re
from hashlib import blake2b

from opentelemetry.trace import SpanContext, TraceFlags

from shared.events import Envelope

_WRITTEN = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
"""As W3C writes it; ids of zeros alone name nothing."""

_random = random.Random()  # ids of traces are no secrets


def read(value: str | None) -> SpanContext | None:
    """The span that a traceparent names, or None for what is not one."""
    found = _WRITTEN.fullmatch(value or "")
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))


def write(span: SpanContext) -> str:
    """The traceparent of what follows from the span."""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def is_sampled(value: str) -> bool:
    """Whether its spans are recorded; of a traceparent that was written here, or read."""
    return value.endswith(("1", "3", "5", "7", "9", "b", "d", "f"))


def unsampled(value: str) -> str:
    """The same, and nobody is to record what follows."""
    return f"{value[:-2]}00"


def of_event(envelope: Envelope) -> str:
    """An event's traceparent. One that another system says without any has its trace from its source and id: the same for
    each service that hears it, and each time."""
    if envelope.traceparent is not None and _WRITTEN.fullmatch(envelope.traceparent):
        return envelope.traceparent
    name = blake2b(envelope.identity, digest_size=24).hexdigest()
    return f"00-{name[:32]}-{name[32:]}-00"


def new() -> str:
    """A trace that begins here, and that nobody records."""
    return f"00-{new_trace_id():032x}-{new_span_id():016x}-00"


def new_trace_id() -> int:
    """One that no other trace has."""
    return _random.getrandbits(128) or 1


def new_span_id() -> int:
    """One that no other span of the trace has."""
    return _random.getrandbits(64) or 1
