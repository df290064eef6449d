"""AsyncAPI 3.0 (https://www.asyncapi.com/docs/reference/specification/v3.0.0): one channel an event type.

FastStream's own document has one channel a queue and would show the batch envelope; here each event stands for itself.
"""

from collections.abc import Iterable
from inspect import cleandoc
from typing import Any

from shared.codec import BATCH, SINGLE
from shared.events import EVENTS, Event
from shared.origin import EXCHANGE


def document(name: str, description: str, heard: Iterable[str], announced: Iterable[type[Event]]) -> dict[str, Any]:
    """What the service hears (`receive`) and says (`send`)."""
    received = {event_type: EVENTS[event_type] for event_type in heard}
    sent = {event.type: event for event in announced}
    known = received | sent
    return {
        "asyncapi": "3.0.0",
        "info": {"title": f"Orderbus {name}", "version": "1", "description": description},
        "defaultContentType": SINGLE,
        "channels": {event_type: _channel(event_type) for event_type in sorted(known)},
        "operations": {
            **{f"hear {event_type}": _operation("receive", event_type) for event_type in sorted(received)},
            **{f"announce {event_type}": _operation("send", event_type) for event_type in sorted(sent)},
        },
        "components": {"messages": {event_type: _message(known[event_type]) for event_type in sorted(known)}},
    }


def _channel(event_type: str) -> dict[str, Any]:
    return {
        "address": event_type,
        "messages": {event_type: {"$ref": f"#/components/messages/{event_type}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": {"name": EXCHANGE, "type": "topic", "durable": True}}},
    }


def _operation(action: str, event_type: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{event_type}"}}


def _message(event: type[Event]) -> dict[str, Any]:
    return {
        "name": event.type,
        "summary": " ".join(cleandoc(event.__doc__ or "").split("\n\n")[0].split()),
        "contentType": SINGLE,
        "description": f"A CloudEvent; under load several come as one {BATCH} array. `payload` is its `data`.",
        "payload": event.model_json_schema(),
    }
