"""What the four services know of one order, and what the doctor says of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.inventory.reservation import Reservation
from services.logistics.shipping import Shipment
from services.orders.order import Order
from services.payments.charging import Payment
from services.payments.refunds import Refund


@dataclass(frozen=True, slots=True)
class Ask:
    """Something that a partner must be asked for: by which service, how often it was, and when it is next."""

    service: str
    what: str
    attempts: int
    due_at: datetime
    since: datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter about the order, open."""

    service: str
    id: str
    type: str
    reason: str
    is_dead: bool


@dataclass(frozen=True, slots=True)
class Case:
    """One order as each service sees it. `last`: when anything was said of it, by the speaker's clock. `complete_at`: when it
    is to be completed by itself."""

    order: Order
    last: datetime
    reservation: Reservation
    payment: Payment
    shipment: Shipment
    refunds: tuple[Refund, ...] = ()
    asks: tuple[Ask, ...] = ()
    letters: tuple[Letter, ...] = ()
    complete_at: datetime | None = None


class Whose(StrEnum):
    """Who does something about it."""

    SERVICE = "service"
    """By itself: nothing is to be done."""
    DOCTOR = "doctor"
    """`--heal`."""
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that waits for too long: of which order (none: of a whole service), since when, what was found, and what
    happens now. `done`: what the doctor has done about it."""

    order_id: str | None
    whose: Whose
    since: datetime
    found: str
    next: str
    done: str | None = None
