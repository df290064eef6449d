"""The bus and the four services around it, in memory: a queue for each service and handler, an inbox, transactions
that happen wholly or not at all, dead letters that are tried again at known times, and a clock for each service."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from services.inventory.handlers import on as inventory_hears
from services.logistics.handlers import on as logistics_hears
from services.orders.handlers import NOTED
from services.orders.handlers import on as orders_hears
from services.payments.handlers import on as payments_hears
from shared.dead_letters import next_try
from shared.events import EVENTS, OURS, Envelope, Event, received
from tests.simulation.chance import Chance
from tests.simulation.memory.inventory import InventoryTables
from tests.simulation.memory.logistics import LogisticsTables
from tests.simulation.memory.orders import OrdersTables
from tests.simulation.memory.payments import PaymentsTables
from tests.simulation.memory.tables import Draw, MemoryTx, Tables

T = TypeVar("T")

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
MOMENT = timedelta(milliseconds=1)
"""No two things happen at the same time."""

_ENVELOPE = vars(Event)["_envelope"]
"""Its slot: pydantic looks at length for an attribute that is not there."""

Queue = tuple[str, str]
"""Of a service, for a handler: what it is told of several types goes to it together."""

HEARS = {"orders": orders_hears, "inventory": inventory_hears, "payments": payments_hears, "logistics": logistics_hears}
"""What each service listens to."""

LISTENERS = {
    type: [(service, on[type]) for service, on in HEARS.items() if type in on and not (service == "orders" and event in NOTED)]
    for type, event in EVENTS.items()
}
"""Who does something on an event type."""


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits: there is nothing here to wait for."""
    try:
        work.send(None)
    except StopIteration as done:
        answer: T = done.value
        return answer
    raise RuntimeError("it waits for something, and nothing here will ever come")


@dataclass
class Service:
    """One of the four: its tables, and how far its clock is off."""

    name: str
    tables: Tables
    off: timedelta = timedelta()


@dataclass
class Letter:
    """An event that could not be handled, and when it is tried again; never, once it has been tried often enough."""

    service: str
    event: Event
    error: Exception
    attempts: int = 1
    due: datetime | None = None


class Bus:
    """Delivers what is announced, in any sequence that `random` draws."""

    def __init__(self, random: Chance, note: Callable[..., None]) -> None:
        self.random = random
        self.note = note
        self.now = START
        self.draw = Draw()
        self.orders, self.inventory = OrdersTables(), InventoryTables()
        self.payments, self.logistics = PaymentsTables(), LogisticsTables()
        tables: tuple[Tables, ...] = (self.orders, self.inventory, self.payments, self.logistics)
        self.services = {name: Service(name, each) for name, each in zip(HEARS, tables, strict=True)}
        self.queues: dict[Queue, list[Event]] = {}
        self.unpublished: list[Event] = []
        self.letters: list[Letter] = []
        self.buried: list[Letter] = []
        self.said: list[Event] = []
        self.delivered = 0
        self.troubled = True
        self.forgetful = random.random() < 0.1  # inboxes forget what is weeks old: a repeat is then handled anew

    def clock(self, service: str) -> datetime:
        """What time the service believes it is."""
        return self.now + self.services[service].off

    def is_due(self, service: str) -> bool:
        """Whether the service has something to do by now, by its own clock."""
        dues = self.services[service].tables.next_due()
        return bool(dues) and min(dues) <= self.clock(service)

    def strikes(self, chance: float) -> bool:
        """Whether something goes wrong now; nothing does any more while a history is brought to its end."""
        return self.troubled and self.random.random() < chance

    def transact(self, service: str, work: Callable[[MemoryTx], Coroutine[Any, Any, T]]) -> T:
        """One transaction of the service. What it announces is published after it, sometimes much later, or twice."""
        at = self.services[service]
        self.now += MOMENT
        snapshot = at.tables.snapshot()
        tx = MemoryTx(at.tables, service, self.clock(service), self.draw)
        try:
            answer = finish(work(tx))
        except Exception:
            at.tables.restore(snapshot)
            raise
        said = [self._enveloped(event, OURS + service, tx.now) for event in tx.said]
        self.said += said
        for event in said:
            self.note("%s says %s", service, event)
        if said and self.strikes(0.1):
            self.note("%s dies before it has published that", service)
            self.unpublished += said
            if self.strikes(0.5):
                self.publish(said)
        else:
            self.publish(said)
        return answer

    def hear(self, event: Event, source: str, at: datetime) -> None:
        """Another system publishes an event."""
        self.note("%s says %s", source, event)
        self.publish([self._enveloped(event, source, at)])

    def publish(self, events: list[Event]) -> None:
        """Into the queue of every service that listens to it."""
        for event in events:
            for service, subscription in LISTENERS[event.type]:
                if subscription.wants(event.envelope):
                    self.queues.setdefault((service, subscription.handle.__name__), []).append(event)

    def waiting_for(self, service: str) -> list[Event]:
        """What the service has not heard yet."""
        return [event for (listener, _), waiting in self.queues.items() if listener == service for event in waiting]

    def sweep(self) -> None:
        """Publish what a process left behind when it died."""
        left, self.unpublished = self.unpublished, []
        self.publish(left)

    def deliver(self) -> None:
        """Some events of one queue, in any sequence, to their handler."""
        random = self.random
        which = random.choice(list(self.queues))
        waiting = self.queues[which]
        batch = [random.take(waiting) for _ in range(min(len(waiting), random.choice((1, 1, 2, 3, 8))))]
        if self.strikes(0.1):
            self.note("%s dies before it has acknowledged %s", which[0], which[1])
            waiting += batch
        if not waiting:
            del self.queues[which]
        self.delivered += len(batch)
        self._handle(which[0], batch)

    def retry(self) -> None:
        """Try the dead letters again whose time has come."""
        due = [letter for letter in self.letters if letter.due and letter.due <= self.now]
        for letter in due:
            try:
                self._once(letter.service, [letter.event])
            except Exception as error:
                letter.error, letter.attempts = error, letter.attempts + 1
                letter.due = next_try(letter.attempts, self.now)
                self.note("%s cannot handle %s again: %r", letter.service, letter.event.type, error)
            else:
                self.letters.remove(letter)

    def _handle(self, service: str, batch: list[Event]) -> None:
        self.note("%s hears %s", service, batch)
        try:
            self._once(service, batch)
        except Exception as error:
            if len(batch) > 1:
                for event in batch:
                    self._handle(service, [event])
                return
            self.note("%s cannot handle %s: %r", service, batch[0].type, error)
            letter = Letter(service, batch[0], error, due=next_try(1, self.now))
            self.letters.append(letter)
            self.buried.append(letter)

    def _once(self, service: str, batch: list[Event]) -> None:
        by_key = {(event.envelope.source, event.envelope.id): event for event in batch}

        async def handle(tx: MemoryTx) -> None:
            heard = tx.tables.heard
            fresh = [event for key, event in by_key.items() if key not in heard]
            if not self.forgetful:
                heard.update(dict.fromkeys(by_key))
            if fresh:
                await HEARS[service][batch[0].type].handle(fresh, tx)

        self.transact(service, handle)

    def _enveloped(self, event: Event, source: str, at: datetime) -> Event:
        subject = event.subject
        order_id = subject if event.subject_field == "order_id" else None
        envelope = Envelope(f"e{self.draw()}", source, event.type, subject, at, order_id)
        try:
            _ENVELOPE.__get__(event)
        except AttributeError:
            return received(event, envelope)
        return received(event.model_copy(), envelope)  # the same fact said again is another event
