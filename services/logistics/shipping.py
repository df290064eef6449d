"""What is known of an order's parcel, what its facts add up to, and what follows when one more becomes known."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from uuid_utils.compat import uuid5

from shared.events import Envelope, Event
from shared.events.fields import Address, one_line
from shared.events.orders import OrderPaid
from shared.events.shipments import (
    ShipmentCancelled,
    ShipmentCreated,
    ShipmentDelivered,
    ShipmentFailed,
    ShipmentInTransit,
    TrackingPushed,
)
from shared.records import replace

LARGEST_LABEL = 2 * 1024 * 1024
"""Bytes; a label as PDF is some hundred kilobytes. The table of labels has the same bound."""

LONGEST_CONTENTS = 70
"""Carriers print the contents on the label; DHL takes no more."""


class State(StrEnum):
    """What the facts of a shipment add up to."""

    AWAITED = "awaited"
    BOOKING = "booking"
    BOOKED = "booked"
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Kind(StrEnum):
    """What a partner may have to be asked for. Also the names of the jobs that do it."""

    BOOK = "book"
    WITHDRAW = "withdraw"
    NOTIFY = "notify"


@dataclass(frozen=True, slots=True)
class Booked:
    """The carrier has a waybill for the parcel. Its label, a PDF, comes once at most: with the answer to the booking."""

    waybill: str
    tracking_url: str | None = None
    label: bytes | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The carrier does not take the parcel as it is."""

    reason: str


ANOTHERS_WAYBILL = Refused("the carrier gave a waybill number that another parcel of ours has; to be settled with the carrier")
"""Under that number this one's shopper would follow, and this one be taken for, the other. It is not named: it is the other's."""


@dataclass(frozen=True, slots=True)
class NotBooked:
    """The carrier knows nothing of the parcel."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The waybill is void."""


@dataclass(frozen=True, slots=True)
class Collected:
    """Too late to withdraw: the carrier has had the parcel since then."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """The shopper has the tracking number."""

    by: str


@dataclass(frozen=True, slots=True)
class Moot:
    """It need not be done any more."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer that could be trusted: to be asked again."""


@dataclass(frozen=True, slots=True)
class StillAtIt(Unknown):
    """No answer came in time to what is done twice if it is asked for twice. Who is still at it says, if asked about it at once,
    that there is nothing."""


Answer = Booked | Refused | NotBooked | Withdrawn | Collected | Told | Moot | Unknown


_OURS = UUID("e18a5f84-dde0-4c46-87f9-8ac496257187")


def id_of(order_id: str) -> UUID:
    """The order's shipment's: the same whenever the order is heard of, so that what a partner made before a restore is found
    under the same reference."""
    return uuid5(_OURS, order_id)


@dataclass(frozen=True)
class Shipment:
    """What is known of an order's one parcel. Facts accumulate, so the sequence in which they came does not matter;
    only a person's release takes one back, a refusal."""

    shipment_id: UUID
    order_id: str
    # the order is paid, and says where the parcel goes and what is in it
    paid_at: datetime | None = None
    # its pieces have left the books: what is not there is not shipped
    deducted_at: datetime | None = None
    ship_to: Address | None = None
    phone: str | None = None
    contents: str | None = None
    value: int | None = None
    currency: str | None = None
    # a carrier was found, and has taken it on or not
    carrier: str | None = None
    serial: int | None = None
    refused: str | None = None
    waybill: str | None = None
    tracking_url: str | None = None
    booked_at: datetime | None = None
    # the shopper has the number
    told_at: datetime | None = None
    told_by: str | None = None
    # it was scanned: first on its way, last handed over, last not handed over
    in_transit_at: datetime | None = None
    delivered_at: datetime | None = None
    failed_at: datetime | None = None
    failure: str | None = None
    # people decided
    released_at: datetime | None = None
    # the failure on its way that a release has answered, by the carrier's clock as failed_at is
    answered_failure_at: datetime | None = None
    cancelled_at: datetime | None = None
    withdrawn_at: datetime | None = None

    @property
    def reference(self) -> str:
        """Our name for the parcel at a partner; DHL takes no more than 35 characters."""
        return self.shipment_id.hex

    @property
    def state(self) -> State:
        """Where the parcel is beats what was wanted of it: a cancelled parcel that was scanned is on its way."""
        if self._failed_on_its_way:
            return State.FAILED
        if self.delivered_at:
            return State.DELIVERED
        if self.has_left:
            return State.IN_TRANSIT
        if self.cancelled_at:
            return State.CANCELLED
        if self.refused:
            return State.FAILED
        if self.waybill:
            return State.BOOKED
        return State.BOOKING if self.paid_at and self.deducted_at else State.AWAITED

    @property
    def has_left(self) -> bool:
        """The carrier has it in hand, or had."""
        return bool(self.in_transit_at or self.delivered_at or self.failed_at)

    @property
    def needs_waybill(self) -> bool:
        """A carrier is still to be asked to take it on."""
        return bool(self.carrier and self.deducted_at and not (self.waybill or self.refused or self.cancelled_at))

    @property
    def needs_telling(self) -> bool:
        """The shopper is still to be told the number."""
        return bool(self.waybill and not (self.told_at or self.cancelled_at))

    @property
    def owes_withdrawal(self) -> bool:
        """There is a waybill that must not be used."""
        return bool(self.cancelled_at and self.waybill and not (self.withdrawn_at or self.has_left))

    @property
    def is_called_off(self) -> bool:
        """There was to be a parcel, and it is certain now that there will be none: inventory has its pieces back then."""
        wanted = self.paid_at or self.deducted_at
        return bool(wanted and self.cancelled_at and self.withdrawn_at and not self.has_left)

    @property
    def why_failed(self) -> str:
        """The reason in words, while the state is failed."""
        return (self.failure if self._failed_on_its_way else self.refused) or "unknown"

    @property
    def _failed_on_its_way(self) -> bool:
        if self.failed_at is None:
            return False
        mended = [at for at in (self.delivered_at, self.answered_failure_at) if at is not None]
        return all(self.failed_at > at for at in mended)

    def owes(self, kind: Kind) -> bool:
        """Whether a partner is still to be asked for this."""
        match kind:
            case Kind.BOOK:
                return self.needs_waybill
            case Kind.WITHDRAW:
                return self.owes_withdrawal
            case Kind.NOTIFY:
                return self.needs_telling


@dataclass(frozen=True, slots=True)
class Errand:
    """Something a partner must be asked for, claimed by whoever holds it for as long as the lease lasts."""

    shipment: Shipment
    kind: Kind
    attempts: int
    cause: Envelope | None


def unheard_of(order_id: str) -> Shipment:
    """The shipment of an order of which nothing is known."""
    return Shipment(id_of(order_id), order_id)


def pay(shipment: Shipment, order: OrderPaid, carrier: str | None, at: datetime) -> Shipment:
    """A paid order is to be shipped, once, unless it was cancelled before."""
    if shipment.paid_at or shipment.cancelled_at:
        return shipment
    return replace(
        shipment,
        paid_at=at,
        ship_to=order.ship_to,
        phone=order.ship_to.phone or order.customer.phone,
        contents=_contents(order),
        value=order.total,
        currency=order.currency,
        carrier=carrier,
        refused=None if carrier else _nobody_goes_to(order.ship_to),
    )


def deduct(shipment: Shipment, at: datetime) -> Shipment:
    """Inventory has taken the order's pieces off the books for it."""
    return shipment if shipment.deducted_at else replace(shipment, deducted_at=at)


def cancel(shipment: Shipment, at: datetime, *, may_be_booked: bool) -> Shipment:
    """Nothing is to be sent. `may_be_booked`: a carrier has been asked and has not answered yet, so it must be asked
    again before it is certain that there is nothing to withdraw."""
    if shipment.cancelled_at:
        return shipment
    return replace(shipment, cancelled_at=at, withdrawn_at=None if shipment.waybill or may_be_booked else at)


def release(shipment: Shipment, carrier: str | None, at: datetime) -> Shipment:
    """A person has looked at what failed: a parcel that nobody took is offered again, one under way is tried again by
    its carrier. What has not failed stays as it is; a failure not heard of yet is not answered."""
    if shipment.state is not State.FAILED:
        return shipment
    if shipment.waybill or shipment.ship_to is None:
        return replace(shipment, released_at=at, answered_failure_at=shipment.failed_at)
    return replace(shipment, released_at=at, carrier=carrier, refused=None if carrier else _nobody_goes_to(shipment.ship_to))


def learn(shipment: Shipment, answer: Answer, at: datetime) -> Shipment:
    """Add what a partner answered."""
    match answer:
        case Booked(waybill, tracking_url) if not shipment.waybill:
            return replace(shipment, waybill=waybill, tracking_url=tracking_url, booked_at=at, refused=None)
        case Refused(reason) if not shipment.waybill:
            withdrawn_at = shipment.cancelled_at and (shipment.withdrawn_at or at)
            return replace(shipment, refused=one_line(reason) or "no reason given", withdrawn_at=withdrawn_at)
        case NotBooked() if shipment.cancelled_at and not shipment.waybill and not shipment.withdrawn_at:
            return replace(shipment, withdrawn_at=at)
        case Withdrawn() if shipment.owes_withdrawal:
            return replace(shipment, withdrawn_at=at)
        case Collected(since):
            return replace(shipment, in_transit_at=min(since, shipment.in_transit_at or since))
        case Told(by) if not shipment.told_at:
            return replace(shipment, told_at=at, told_by=by)
        case _:
            return shipment


def follows(before: Shipment, after: Shipment) -> list[Event]:
    """What has just become true."""
    which = {"order_id": after.order_id, "shipment_id": str(after.shipment_id)}
    events: list[Event] = []
    if after.waybill and not before.waybill and not after.cancelled_at:
        events.append(
            ShipmentCreated(**which, carrier=after.carrier or "", waybill=after.waybill, tracking_url=after.tracking_url)
        )
    if after.told_by and not before.told_by:
        events.append(
            TrackingPushed(**which, carrier=after.carrier or "", tracking_number=after.waybill or "", channel=after.told_by)
        )
    if after.in_transit_at and not before.in_transit_at:
        events.append(ShipmentInTransit(**which, at=after.in_transit_at))
    delivered_anew = before.state is not State.DELIVERED or after.delivered_at != before.delivered_at
    if after.delivered_at and after.state is State.DELIVERED and delivered_anew:
        events.append(ShipmentDelivered(**which, at=after.delivered_at))
    # a person let it try again, and it failed at once: that is said again, or nobody would know
    tried_again = after.released_at != before.released_at
    if after.state is State.FAILED and (before.state is not State.FAILED or tried_again):
        events.append(ShipmentFailed(**which, reason=after.why_failed))
    if after.is_called_off and not before.is_called_off:
        events.append(ShipmentCancelled(**which))
    return events


def newly_owed(before: Shipment, after: Shipment) -> list[Kind]:
    """What partners must be asked for from now on."""
    return [kind for kind in Kind if after.owes(kind) and not before.owes(kind)]


def _contents(order: OrderPaid) -> str:
    goods = ", ".join(f"{line.quantity} x {line.sku}" for line in order.lines)
    return goods if len(goods) <= LONGEST_CONTENTS else f"{goods[: LONGEST_CONTENTS - 3]}..."


def _nobody_goes_to(ship_to: Address) -> str:
    return f"no carrier goes to {ship_to.country} {ship_to.postcode}".rstrip()
