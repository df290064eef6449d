"""Scans on a parcel's way. They may come twice, late, or in any sequence: their own times say what is true."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, Field, ValidationError, ValidationInfo, model_validator

from services.logistics.shipping import Shipment
from shared.events.fields import one_line, text
from shared.records import replace

OLDEST, AHEAD = timedelta(days=365), timedelta(days=1)
"""A scan is told of at once, or some days late; ahead by hours, where a carrier says its local time. Further from now it is of a
scanner whose clock is wrong: the last delivery counts, and a return window begins with it."""


class Status(StrEnum):
    """What a scan says of the parcel. Carriers know more; those say nothing we act upon."""

    TRANSIT = "transit"
    DELIVERED = "delivered"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, order=True)
class Scan:
    """What a carrier's scanner said of a waybill, and when."""

    waybill: str
    at: datetime
    status: Status
    description: str = ""


def in_utc(at: datetime) -> datetime:
    """The moment, in UTC if it does not say where; ValueError for one that has no year there."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is before the year 1, or after 9999, in UTC") from None


def _of_these_days(at: datetime, info: ValidationInfo) -> datetime:
    assert isinstance(info.context, datetime), "what is read is read at a moment"
    if not info.context - OLDEST <= at <= info.context + AHEAD:
        raise ValueError("is over a year ago, or over a day ahead")
    return at


class _Status(BaseModel):
    timestamp: Annotated[datetime, AfterValidator(in_utc), AfterValidator(_of_these_days)]
    status_code: str = Field(alias="statusCode")
    description: str | None = None


class _Tracked(BaseModel):
    id: Annotated[str, text(64)]
    status: _Status


class _Notification(BaseModel):
    """The body of DHL's Shipment Tracking Unified Push (https://developer.dhl.com/api-reference/shipment-tracking-unified-push)."""

    scope: str | None = None
    shipments: Annotated[list[Any], Field(max_length=1000)] = []

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if "shipments" not in self.model_fields_set and self.scope is None:
            raise ValueError("has neither shipments nor the scope of a message about the subscription")
        return self


@dataclass(frozen=True, slots=True)
class Notice:
    """What a notification tells of: the scans, each once, and why it says no more where it cannot be read."""

    scans: list[Scan]
    unreadable: list[ValidationError]


def read(body: bytes, now: datetime) -> Notice:
    """What a tracking notification tells of; no scan when it is about the subscription (subscription.validate,
    subscription.failure, …). A parcel that cannot be read keeps back none of the others. Raises pydantic's ValidationError for
    what is no notification, or has nothing in it that can be read."""
    tracked: list[_Tracked] = []
    unreadable: list[ValidationError] = []
    for each in _Notification.model_validate_json(body).shipments:
        try:
            tracked.append(_Tracked.model_validate(each, context=now))
        except ValidationError as error:
            unreadable.append(error)
    if unreadable and not tracked:
        raise unreadable[0]
    known = {status.value for status in Status}
    scans = {
        Scan(each.id, each.status.timestamp, Status(each.status.status_code), one_line(each.status.description or ""))
        for each in tracked
        if each.status.status_code in known
    }
    return Notice(sorted(scans), unreadable)


def scanned(shipment: Shipment, scans: Sequence[Scan]) -> Shipment:
    """Add scans of the shipment's waybill."""
    for scan in scans:
        shipment = _scanned(shipment, scan)
    return shipment


def _scanned(shipment: Shipment, scan: Scan) -> Shipment:
    match scan.status:
        case Status.TRANSIT:
            return _moving(shipment, scan.at)
        case Status.DELIVERED if shipment.delivered_at is None or scan.at > shipment.delivered_at:
            return replace(shipment, delivered_at=scan.at)
        case Status.FAILURE:
            shipment = _moving(shipment, scan.at)  # what could not be handed over was on its way, whether that was scanned or not
            failure = scan.description or "the carrier could not hand the parcel over"
            if shipment.failed_at is None or (scan.at, failure) > (shipment.failed_at, shipment.failure or ""):
                return replace(shipment, failed_at=scan.at, failure=failure)
    return shipment


def _moving(shipment: Shipment, at: datetime) -> Shipment:
    known = shipment.in_transit_at
    return shipment if known and known <= at else replace(shipment, in_transit_at=at)
