"""Events in over HTTP, for systems that have no AMQP."""

from dataclasses import replace

from fastapi import APIRouter, Request
from pydantic import BaseModel

from shared import codec
from shared.auth import Caller, Principal, scope
from shared.events import Envelope, Event
from shared.http import Transactional, Tx
from shared.problems import Forbidden, Unprocessable

router = APIRouter(prefix="/api/events", tags=["events"], route_class=Transactional)

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            codec.SINGLE: {"schema": {"type": "object", "required": ["specversion", "id", "source", "type"]}},
            codec.BATCH: {"schema": {"type": "array", "items": {"type": "object"}}},
        },
    }
}


class Accepted(BaseModel):
    """How many events were taken."""

    accepted: int


@router.post("", status_code=202, dependencies=[scope("events:publish")], openapi_extra=BODY)
async def publish_events(request: Request, tx: Tx, caller: Caller) -> Accepted:
    """Take CloudEvents, one (`application/cloudevents+json`, or binary mode) or a batch
    (`application/cloudevents-batch+json`): all of them, or with 422 none. They are on the bus when they could also be
    read back after a power cut; publishing the same id again does nothing twice.
    """
    body = await request.body()
    decoded = codec.decode(body, request.headers.get("content-type"), request.headers)
    wrong = [f"{bad.envelope.id if bad.envelope else 'event'}: {bad.reason}" for bad in decoded.unreadable]
    wrong += [
        f"{event.envelope.id}: type: {event.type} is not for other systems to publish"
        for event in decoded.events
        if not event.inbound
    ]
    if wrong:
        raise Unprocessable("; ".join(wrong[:5]), errors=wrong[:100])
    tx.forward([(event, _admitted(event, caller)) for event in decoded.events])
    return Accepted(accepted=len(decoded.events))


def _admitted(event: Event, caller: Principal) -> Envelope:
    """The envelope as it goes on the bus. Raises Forbidden for a source or a type that is not the caller's to say."""
    envelope = event.envelope
    if envelope.is_ours or not caller.may_see(envelope.source):
        raise Forbidden(f"the token may not publish as {envelope.source}", source=envelope.source)
    if not caller.may_publish(event.type):
        raise Forbidden(f"the token does not say that it publishes {event.type}", type=event.type)
    return replace(envelope, subject=event.subject, correlation_id=getattr(event, "order_id", None))
