"""HTTP in, as a span. It begins with the first byte, but whether it is recorded is decided once it has been let in: who has no
token does not use up what may be recorded. What reads is recorded only when it fails or is slow."""

import time
from collections.abc import Mapping
from functools import partial

from opentelemetry.trace import SpanKind
from starlette.types import Scope

from shared import redaction
from shared.telemetry import spans, traceparent
from shared.telemetry.spans import Span
from shared.telemetry.work import InHand, in_hand, now, sampler

LONGEST_ID = 64
"""Characters of an order's id: a path may have sixty thousand, and this stands on each line that is logged."""


class Request:
    """One request, from its first byte to its answer; in hand for as long as its task lasts."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._hand = InHand(self._ids)
        self._began = time.time_ns()
        self.received_at = now()
        in_hand.set(self._hand)

    def admit(self) -> str:
        """The traceparent of what follows from it: it is let in, and is about to write."""
        decides = sampler()
        if self._hand.trace is None:
            self._hand.trace = self._given() or traceparent.new()
            if decides is not None and decides.begins(asked_for=traceparent.is_sampled(self._hand.trace)):
                self._hand.span = self._span(self._hand.trace)
                self._hand.trace = self._hand.span.traceparent
            else:
                self._hand.trace = traceparent.unsampled(self._hand.trace)
        return self._hand.trace

    def end(self, route: str, status: int, error: Exception | None) -> None:
        """It is answered. `error`: what it failed with, if that was no answer that was meant."""
        decides, failed = sampler(), status >= 500
        span = self._hand.span
        if span is None and decides is not None and (failed or decides.is_slow(self.received_at, now())) and decides.keeps():
            span = self._span(traceparent.unsampled(self._hand.trace or self._given() or traceparent.new()))
        if span is not None:
            span.name = f"{self._scope['method']} {route}"
            span.attributes |= {"http.route": route, "http.response.status_code": status}
            span.end((error or str(status)) if failed else None)
        # the scope holds this, and this the scope: a ring would wait for the collector, with all that the request brought
        self._hand.ids, self._scope = partial(dict, self._ids()), {}

    def _given(self) -> str | None:
        """The caller's traceparent."""
        said = next((value.decode("latin-1") for name, value in self._scope["headers"] if name == b"traceparent"), None)
        return said if traceparent.read(said) else None

    def _span(self, cause: str) -> Span:
        method, path = self._scope["method"], self._scope["path"]
        said = {"http.request.method": method, "url.path": redaction.text(path), "url.scheme": self._scope["scheme"]}
        return spans.child_of(cause, method, SpanKind.SERVER, said, self._began)

    def _ids(self) -> Mapping[str, str]:
        trace, order_id = self._hand.trace or self._given(), self._scope.get("path_params", {}).get("order_id")
        return ({"trace_id": trace[3:35]} if trace else {}) | ({"order_id": str(order_id)[:LONGEST_ID]} if order_id else {})
