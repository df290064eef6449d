"""Which function answers "what happens on X?": a service's `handlers.py` makes one `on = Subscriptions()`."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.database import Tx
from shared.events import Envelope, Event

E = TypeVar("E", bound=Event)
Handle = Callable[[list[E], Tx], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Subscription:
    """One event type, and what a service does on it. `ours`: True hears only our own services, False only others. `patient`:
    nobody waits for what follows from it, so it waits a moment for what its handler is told next."""

    event_class: type[Event]
    handle: Handle[Any]
    ours: bool | None
    patient: bool = False

    def wants(self, envelope: Envelope) -> bool:
        """Whether the event, which is of this type, is from whom this listens to."""
        return self.ours in (None, envelope.is_ours)


class Subscriptions(dict[str, Subscription]):
    """By event type. `@on(OrderPlaced)` makes a function of a list of events and a transaction its handler."""

    def __call__(
        self, event_class: type[E], *, ours: bool | None = None, patient: bool = False
    ) -> Callable[[Handle[E]], Handle[E]]:
        def subscribe(handle: Handle[E]) -> Handle[E]:
            if event_class.type in self:
                raise TypeError(f"{event_class.type} has a handler already: {self[event_class.type].handle}")
            self[event_class.type] = Subscription(event_class, handle, ours, patient)
            return handle

        return subscribe

    def any_of(
        self, *event_classes: type[Event], ours: bool | None = None, patient: Collection[type[Event]] = ()
    ) -> Callable[[Handle[Any]], Handle[Any]]:
        """The same for several types: what is said at once goes to their handler at once, in one transaction. `patient`: those
        of them that nobody waits for, whichever process hears them."""

        def subscribe(handle: Handle[Any]) -> Handle[Any]:
            for event_class in event_classes:
                self(event_class, ours=ours, patient=event_class in patient)(handle)
            return handle

        return subscribe

    def hears_only_others(self, handle: Handle[Any]) -> bool:
        """Whether everything that it handles comes from other systems."""
        return all(subscription.ours is False for subscription in self.values() if subscription.handle is handle)
