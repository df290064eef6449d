"""Events in over HTTP, for systems that have no AMQP."""

from collections.abc import Sequence
from dataclasses import replace

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from shared import codec
from shared.auth import Caller, Principal, scope
from shared.database import Tx
from shared.events import EVENTS, Envelope, Event
from shared.http import Transactional
from shared.joining import Joined
from shared.problems import Forbidden, Problem, Unprocessable

router = APIRouter(prefix="/api/events", tags=["events"], route_class=Transactional)

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            codec.SINGLE: {"schema": {"type": "object", "required": ["specversion", "id", "source", "type"]}},
            codec.BATCH: {"schema": {"type": "array", "items": {"type": "object"}}},
            "application/json": {
                "schema": {
                    "type": "object",
                    "description": "Binary mode: the data of one event, whose attributes are `ce-` headers.",
                }
            },
        },
    }
}


Said = Sequence[tuple[Event, Envelope]]
"""The events of one request, each in the envelope it goes on the bus in."""


class Accepted(BaseModel):
    """How many events were taken."""

    accepted: int


@router.post("", status_code=202, response_model=Accepted, dependencies=[scope("events:publish")], openapi_extra=BODY)
async def publish_events(request: Request, caller: Caller) -> Response:
    """Take CloudEvents, one (`application/cloudevents+json`, or binary mode) or a batch
    (`application/cloudevents-batch+json`): all of them, or with 422 none. They are on the bus when they could also be
    read back after a power cut; publishing the same id again does nothing twice.
    """
    body = await request.body()
    decoded = codec.decode(body, request.headers.get("content-type"), request.headers, _is_inbound)
    if decoded.unreadable:
        raise _not_taken(decoded.unreadable)
    return await forward_together(request, [(event, _admitted(event, caller)) for event in decoded.events])


@Joined
async def forward_together(said: Sequence[Said], tx: Tx) -> list[Response | Problem]:
    """Put on the bus what was handed in at the same time."""
    tx.forward([event for events in said for event in events])
    return [_accepted(len(events)) for events in said]


def _accepted(events: int) -> Response:
    return Response(Accepted(accepted=events).model_dump_json(), 202, media_type="application/json")


def _is_inbound(envelope: Envelope) -> bool:
    """Asked before the data is looked at. A type that nobody knows is refused there."""
    if (known := EVENTS.get(envelope.type)) and not known.inbound:
        raise codec.NotACloudEvent(f"type: {envelope.type} is not for other systems to publish")
    return True


def _not_taken(unreadable: Sequence[codec.Unreadable]) -> Unprocessable:
    errors = [
        {"where": str(bad.place), "id": bad.envelope.id if bad.envelope else None, "what": bad.reason} for bad in unreadable[:100]
    ]
    told = [f"event {error['where']}{' (' + error['id'] + ')' if error['id'] else ''}: {error['what']}" for error in errors[:5]]
    return Unprocessable("; ".join(told), errors=errors)


def _admitted(event: Event, caller: Principal) -> Envelope:
    """The envelope as it goes on the bus. Raises Forbidden for a source or a type that is not the caller's to say."""
    envelope = event.envelope
    if envelope.is_ours or not caller.may_see(envelope.source):
        raise Forbidden(f"the token may not publish as {envelope.source}", source=envelope.source)
    if not caller.may_publish(event.type):
        raise Forbidden(f"the token does not say that it publishes {event.type}", event_type=event.type)
    return replace(envelope, subject=event.subject, correlation_id=getattr(event, "order_id", None))
