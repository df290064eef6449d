"""What the work in hand asks of others, as spans of it: statements to Postgres, calls to partners. Values are left out: they
may be personal."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any

from opentelemetry.trace import SpanKind

from shared import redaction
from shared.telemetry import spans, traceparent
from shared.telemetry.spans import Span
from shared.telemetry.work import in_hand, sampler

LONGEST_QUERY = 2_000

_WRITES = re.compile(r"\b(INSERT INTO|DELETE FROM|UPDATE)\s+([a-z_]+)")
_READS = re.compile(r"\b(SELECT)\b.*?\bFROM\s+([a-z_]+)", re.DOTALL)

_database: Mapping[str, Any] = {}


def tell_database(said: Mapping[str, Any]) -> None:
    """What spans of statements say of where they ran."""
    global _database
    _database = said


def statements_of(connection: Any) -> Any:
    """The connection; its statements are spans if the work in hand is recorded."""
    hand = in_hand.get()
    return connection if hand is None or hand.span is None else _Recorded(connection, hand.span)


class _Recorded:
    """A connection whose statements are spans."""

    def __init__(self, connection: Any, work: Span) -> None:
        self._connection = connection
        self._work = work

    async def fetch(self, query: str, *args: Any) -> Any:
        with _statement(query, self._work):
            return await self._connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> Any:
        with _statement(query, self._work):
            return await self._connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        with _statement(query, self._work):
            return await self._connection.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> Any:
        with _statement(query, self._work):
            return await self._connection.execute(query, *args)


@contextmanager
def _statement(query: str, work: Span) -> Iterator[None]:
    """OpenTelemetry's conventions for databases. What is sent is the text with $1 and the like, never the values."""
    summary, text = _told(query)
    said = {**_database, "db.query.summary": summary, "db.query.text": text}
    span, failure = work.child(summary, SpanKind.CLIENT, said), None
    try:
        yield
    except BaseException as error:
        failure = error
        if state := getattr(error, "sqlstate", None):
            span.attributes["db.response.status_code"] = state
        raise
    finally:
        span.end(failure)


@lru_cache(512)
def _told(query: str) -> tuple[str, str]:
    """All that it writes, or else what it reads first."""
    found = _WRITES.findall(query) or _READS.findall(query)[:1]
    summary = " ".join(f"{verb.split()[0]} {table}" for verb, table in found) or query.split(maxsplit=1)[0]
    return summary, " ".join(query.split())[:LONGEST_QUERY]


@dataclass(slots=True)
class Call:
    """One call to a partner; `status` once it has answered."""

    status: int | None = None


@contextmanager
def calling(partner: str, method: str, url: str) -> Iterator[Call]:
    """A partner is called in here, for the work in hand. Where that is not recorded, a call that brought no answer or took
    long is, by itself."""
    hand, call, began, failure = in_hand.get(), Call(), time.time_ns(), None
    try:
        yield call
    except BaseException as error:
        failure = error
        raise
    finally:
        if hand is not None and (hand.span or _is_kept(call, began, failure)):
            said = {"http.request.method": method, "url.full": redaction.text(url), "peer.service": partner}
            answered = {} if call.status is None else {"http.response.status_code": call.status}
            begin = hand.span.child if hand.span else partial(spans.child_of, hand.trace or traceparent.new())
            begin(method, SpanKind.CLIENT, said | answered, began).end(failure)


def _is_kept(call: Call, began: int, failure: BaseException | None) -> bool:
    decides = sampler()
    if decides is None:
        return False
    is_slow = timedelta(microseconds=(time.time_ns() - began) / 1000) > decides.slow
    is_unanswered = failure is not None and (call.status is None or call.status >= 500)
    return (is_slow or is_unanswered) and decides.keeps()
