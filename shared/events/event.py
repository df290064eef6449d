"""What every event is: a frozen fact in business words, and the envelope it travelled in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from shared.origin import Origin

OURS = "/orderbus/"
"""Every event of our own services has a `source` under this path; nobody else's may."""

EVENTS: "dict[str, type[Event]]" = {}
"""Every event class by its type on the wire."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The CloudEvents attributes of one event (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md)."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None
    is_dated: bool = True
    """False when the event said no time, and `time` is that of reading."""

    @property
    def is_ours(self) -> bool:
        """Announced by one of our own services, not by another system."""
        return self.source.startswith(OURS)

    @property
    def identity(self) -> bytes:
        """CloudEvents promises that source and id together name one event."""
        return f"{self.source}\n{self.id}".encode()


class Event(BaseModel):
    """A past fact. Its class names it on the wire: `class OrderPaid(Event, type="order.paid")`.

    `subject` names the field that says what the event is about; `inbound` marks what other systems may publish;
    `version` is raised with a change that would break a consumer.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    # slots, not fields: how it came travels beside the data, never inside it
    __slots__ = ("_envelope", "_origin", "_whole")

    type: ClassVar[str]
    version: ClassVar[int]
    subject_field: ClassVar[str]
    inbound: ClassVar[bool]

    def __init_subclass__(
        cls,
        *,
        type: str | None = None,
        version: int = 1,
        subject: str = "order_id",
        inbound: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        if type is None:  # an abstract family
            return
        if type in EVENTS and EVENTS[type].__qualname__ != cls.__qualname__:
            raise TypeError(f"{cls.__name__} and {EVENTS[type].__name__} are both called {type!r}")
        cls.type, cls.version, cls.subject_field, cls.inbound = type, version, subject, inbound
        EVENTS[type] = cls

    @property
    def subject(self) -> str:
        """The order, product or shipment the event is about."""
        return str(getattr(self, self.subject_field))

    @property
    def envelope(self) -> Envelope:
        """How the event came here. Raises AttributeError on an event that was not received."""
        envelope: Envelope = object.__getattribute__(self, "_envelope")
        return envelope

    @property
    def whole(self) -> dict[str, Any]:
        """The event as it was on the wire, with what a newer version of its sender says beside what is known here. Raises
        AttributeError on an event that was not received."""
        whole: dict[str, Any] = object.__getattribute__(self, "_whole")
        return whole

    @property
    def origin(self) -> Origin | None:
        """Where the broker had it from; None for what did not come over the bus."""
        origin: Origin | None = object.__getattribute__(self, "_origin")
        return origin

    def note(self) -> str:
        """What an order's timeline says beside the event's name; one short line, no personal data."""
        return ""


def received(event: Event, envelope: Envelope, whole: dict[str, Any] | None = None, origin: Origin | None = None) -> Event:
    """The event together with how it came."""
    object.__setattr__(event, "_envelope", envelope)
    if whole is not None:
        object.__setattr__(event, "_whole", whole)
    object.__setattr__(event, "_origin", origin)
    return event
