"""What a transaction announces, on its way out: the event in its envelope, and the row that keeps it until the broker has it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import uuid_utils

from shared import codec, telemetry
from shared.events import OURS, Envelope, Event


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event on its way out, with its bytes as they go on the wire. `id` is the outbox row's; `span` lasts until the broker
    has it, where the trace is recorded."""

    id: str
    event: Event
    envelope: Envelope
    body: bytes
    span: telemetry.Span | None = None


def envelop(event: Event, service: str, now: datetime, cause: Envelope | None) -> Outgoing:
    """The event with a fresh id, its service as source, and a trace that goes on from its cause."""
    order_id, id = getattr(event, "order_id", None), str(uuid_utils.uuid7())
    traceparent, span = telemetry.announce(event, id, cause)
    envelope = Envelope(
        id=id,
        source=OURS + service,
        type=event.type,
        subject=event.subject,
        time=now,
        correlation_id=order_id,
        causation_id=cause.id if cause else None,
        traceparent=traceparent,
    )
    return Outgoing(id, event, envelope, codec.encode(event, envelope), span)


def forward(event: Event, envelope: Envelope) -> Outgoing:
    """Another system's event, whole, under its own id and source."""
    return Outgoing(str(uuid_utils.uuid7()), event, envelope, codec.pass_on(event, envelope))


class Executor(Protocol):
    """What writes: an open transaction."""

    async def execute(self, query: str, *args: object) -> str: ...


OUTBOX = "INSERT INTO outbox (id, type, body) SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[])"


async def write(tx: Executor, outgoing: Sequence[Outgoing], beside: str = "", rows: Sequence[object] = ()) -> None:
    """Keep what is announced in the transaction that announces it. `beside`: a statement that is carried out with it, in one
    round trip, and whose parameters, from $4 on, are `rows`."""
    if outgoing or rows:
        await tx.execute(
            f"WITH beside AS ({beside}) {OUTBOX}" if rows else OUTBOX,
            [out.id for out in outgoing],
            [out.envelope.type for out in outgoing],
            [out.body for out in outgoing],
            *rows,
        )
