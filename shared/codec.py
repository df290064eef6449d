"""CloudEvents 1.0 on the wire: structured single and batch are written; both, and binary mode, are read.

Sources: CloudEvents JSON format 1.0.2 and its AMQP and HTTP bindings. The SDK for Python reads and writes one event at
a time through dictionaries of its own; here an event goes straight between bytes and its class, many at a time.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from shared import cards
from shared.events import EVENTS, Envelope, Event, received
from shared.origin import Origin

SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

MAX_BODY_BYTES = 4 * 1024 * 1024
"""A message larger than this is refused unread: the largest batch we write is far smaller."""

MAX_EVENTS = 10_000
"""Of one batch: four megabytes of commas would become two million dead letters. We write a thousand."""

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""CloudEvents 1.0 has them in no attribute, and Postgres keeps no NUL."""

_time = TypeAdapter(AwareDatetime)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An event, or a whole message, that is not what it should be; `reason` says what was wrong, and where."""

    reason: str
    body: bytes
    envelope: Envelope | None = None
    origin: Origin | None = None
    place: int = 0
    """In its batch, from 0."""


@dataclass(slots=True)
class Decoded:
    """What one message held: the events that can be handled, and those that cannot."""

    events: list[Event] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


class NotACloudEvent(ValueError):
    """An attribute is missing, is not what the specification asks for, or is not what it may be here."""


def encode(event: Event, envelope: Envelope) -> bytes:
    """One event in structured mode."""
    data = orjson.Fragment(event.model_dump_json(exclude_none=True))
    return orjson.dumps(_attributes(event, envelope) | {"data": data}, option=orjson.OPT_UTC_Z)


def pass_on(event: Event, envelope: Envelope) -> bytes:
    """Another's event in this envelope, with the attributes and fields that are not known here as they came."""
    extensions = {
        name: value
        for name, value in event.whole.items()
        if re.fullmatch(r"[a-z0-9]{1,20}", name) and isinstance(value, str | int)
    }
    attributes = _attributes(event, envelope)
    if not envelope.is_dated:  # said again it would have another time, and be another event to the inboxes
        del attributes["time"]
    data = _laid_over(event.whole["data"], event.model_dump(mode="json", exclude_none=True))
    return orjson.dumps(extensions | attributes | {"data": data}, option=orjson.OPT_UTC_Z)


def whole(event: Event) -> bytes:
    """A received event as it came."""
    try:
        return orjson.dumps(event.whole)
    except orjson.JSONEncodeError:  # fields that are not known here are deeper than can be written
        return encode(event, event.envelope)


def _attributes(event: Event, envelope: Envelope) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "subject": envelope.subject,
        "time": envelope.time,
        "datacontenttype": "application/json",
        "dataschema": f"urn:orderbus:{event.type}:{event.version}",
    }
    if envelope.correlation_id:
        attributes["correlationid"] = envelope.correlation_id
    if envelope.causation_id:
        attributes["causationid"] = envelope.causation_id
    if envelope.traceparent:
        attributes["traceparent"] = envelope.traceparent
    return attributes


def _laid_over(came: Any, known: Any) -> Any:
    """What is known of a JSON value, and what came beside it."""
    if isinstance(came, dict) and isinstance(known, dict):
        return came | {name: _laid_over(came.get(name), value) for name, value in known.items()}
    if isinstance(came, list) and isinstance(known, list) and len(came) == len(known):
        return [_laid_over(*pair) for pair in zip(came, known, strict=True)]
    return known


def join(encoded: Sequence[bytes]) -> tuple[bytes, str]:
    """One message body and its content type: alone an event goes as it is, several as a batch."""
    if len(encoded) == 1:
        return encoded[0], SINGLE
    return b"[" + b",".join(encoded) + b"]", BATCH


def decode(
    body: bytes,
    content_type: str | None,
    headers: Mapping[str, Any],
    wanted: Callable[[Envelope], bool] = lambda _: True,
    origin: Origin | None = None,
) -> Decoded:
    """The events of one message. Never raises: what cannot be read is returned beside them, one by one.

    Whether an event may have come so is asked of its `origin`, then `wanted`, both before its data is looked at. Unwanted
    events are in neither list; `wanted` may raise NotACloudEvent as well.
    """
    decoded = Decoded()
    try:
        items = list(_items(body, content_type, headers))
    except (orjson.JSONDecodeError, NotACloudEvent) as error:
        decoded.unreadable.append(Unreadable(f"not CloudEvents: {error}", cards.masked_bytes(body), None, origin))
        return decoded
    # what our own services say was looked through when it came in
    suspect = not (origin and origin.is_ours) and cards.may_hold_one(body)
    too_deep = 0
    for place, item in enumerate(items):
        envelope = None
        try:
            envelope = _envelope(item)
            if origin and (reason := origin.objection(envelope.source, envelope.type)):
                raise NotACloudEvent(reason)
            if suspect and (spot := cards.where(item)):
                raise NotACloudEvent(f"{spot}: looks like a card number")
            if wanted(envelope):
                decoded.events.append(_event(item, envelope, origin))
        except (NotACloudEvent, ValidationError, RecursionError) as error:
            try:
                decoded.unreadable.append(Unreadable(_why(error), _kept(item, suspect), envelope, origin, place))
            except (orjson.JSONEncodeError, RecursionError):
                too_deep += 1
    if too_deep:  # they cannot be written one by one: the message is kept, once
        reason = f"{too_deep} of its events have arrays and objects too deep in one another"
        decoded.unreadable.append(Unreadable(reason, cards.masked_bytes(body), None, origin))
    return decoded


def _why(error: NotACloudEvent | ValidationError | RecursionError) -> str:
    match error:
        case ValidationError():
            return explain(error)
        case RecursionError():
            return "arrays and objects are too deep in one another"
        case _:
            return str(error)


def _kept(item: Any, suspect: bool) -> bytes:
    """An event as it may be kept: no card number stays in it. Raises for one that is too deep to be written."""
    return orjson.dumps(cards.masked(item) if suspect else item)


def explain(error: ValidationError) -> str:
    """What was wrong and where, without the values, which may be personal."""
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'data'}: {e['msg']}" for e in error.errors(include_input=False))


def _items(body: bytes, content_type: str | None, headers: Mapping[str, Any]) -> Iterable[Any]:
    if len(body) > MAX_BODY_BYTES:
        raise NotACloudEvent(f"the message has {len(body)} bytes, more than {MAX_BODY_BYTES}")
    media_type = media_type_of(content_type)
    if media_type == BATCH:
        items = orjson.loads(body)
        if not isinstance(items, list):
            raise NotACloudEvent("a batch is a JSON array of events")
        if len(items) > MAX_EVENTS:
            raise NotACloudEvent(f"the batch has {len(items)} events, more than {MAX_EVENTS}")
        return items
    if media_type == SINGLE:
        return [orjson.loads(body)]
    attributes = _binary_attributes(headers)
    if attributes is not None:
        return [attributes | {"data": orjson.loads(body)}]
    given = media_type[:100] or "not given"
    raise NotACloudEvent(f"the content type is {given}, neither {SINGLE} nor {BATCH}, and no header is an attribute of an event")


def media_type_of(content_type: str | None) -> str:
    """A content type without its parameters; empty where none is given."""
    return (content_type or "").split(";")[0].strip().lower()


def _binary_attributes(headers: Mapping[str, Any]) -> dict[str, Any] | None:
    """Attributes of a binary mode message: `cloudEvents:` or `cloudEvents_` in AMQP, `ce-` in HTTP."""
    attributes: dict[str, Any] = {}
    for name, value in headers.items():
        lowered = name.lower()
        for prefix in ("cloudevents:", "cloudevents_", "ce-"):
            if lowered.startswith(prefix):
                attributes[lowered[len(prefix) :]] = _header(value)
    return attributes or None


def _header(value: Any) -> str | int | datetime:
    match value:
        case str() | int() | datetime():
            return value
        case bytes():
            return value.decode(errors="replace")
        case _:  # a table, a list, a float: no attribute is one, and JSON has no place for some
            return str(value)


def _envelope(item: Any) -> Envelope:
    if not isinstance(item, dict):
        raise NotACloudEvent("an event is a JSON object")
    if item.get("specversion") != "1.0":
        raise NotACloudEvent(f'specversion: should be "1.0", not {str(item.get("specversion"))[:20]!r}')
    subject = item.get("subject")
    return Envelope(
        id=_attribute(item, "id"),
        source=_attribute(item, "source"),
        type=_attribute(item, "type"),
        subject=subject if isinstance(subject, str) else "",
        time=_read_time(item.get("time")),
        correlation_id=_optional(item, "correlationid"),
        causation_id=_optional(item, "causationid"),
        traceparent=_optional(item, "traceparent"),
        is_dated=item.get("time") is not None,
    )


def _attribute(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 256:
        raise NotACloudEvent(f"{name}: should be a text of 1 to 256 characters")
    if not value.isprintable() and CONTROL.search(value):
        raise NotACloudEvent(f"{name}: should have no control characters")
    return value


def _optional(item: dict[str, Any], name: str) -> str | None:
    return _attribute(item, name) if item.get(name) is not None else None


def _read_time(value: Any) -> datetime:
    """The event's own time; CloudEvents lets it be left out, then it is the time of reading."""
    if value is None:
        return datetime.now(UTC)
    try:
        return _in_utc(value)
    except (ValidationError, OverflowError, TypeError) as error:  # TypeError: a list or an object
        raise NotACloudEvent("time: should be an RFC 3339 timestamp with its offset") from error


@lru_cache(maxsize=256, typed=True)
def _in_utc(value: Any) -> datetime:
    """Events that were announced together say the same time."""
    return _time.validate_python(value).astimezone(UTC)


def _event(item: dict[str, Any], envelope: Envelope, origin: Origin | None) -> Event:
    event_class = EVENTS.get(envelope.type)
    if event_class is None:
        raise NotACloudEvent(f"type: there is no event called {envelope.type!r}")
    data = item.get("data")
    if not isinstance(data, dict):
        raise NotACloudEvent("data: should be a JSON object")
    return received(event_class.model_validate(data), envelope, item, origin)
