"""DHL Express by MyDHL API (https://developer.dhl.com/api-reference/dhl-express-mydhl-api).

A shipment asked for twice is made twice there: MyDHL knows no idempotency key. It does find shipments by the shipper's own
reference, so whenever one may have been made already we ask for it first, and take over what is found."""

from base64 import b64decode
from datetime import UTC, datetime, timedelta
from textwrap import wrap
from typing import Annotated, Any

import structlog
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError

from services.logistics.settings import LogisticsSettings
from services.logistics.shipping import (
    LARGEST_LABEL,
    Answer,
    Booked,
    Collected,
    NotBooked,
    Refused,
    Shipment,
    StillAtIt,
    Unknown,
    Withdrawn,
)
from services.logistics.tracking import in_utc
from shared import tls
from shared.codec import explain
from shared.events.fields import Address, text
from shared.money import to_major
from shared.partners import Partner, PartnerRefused, PartnerSilent, PartnerUnknown

log = structlog.get_logger()

LINE = 45
"""Characters in a line of an address, of which there are three."""

UNFIT = frozenset({400, 422})
"""Refusals of the parcel. Others (401, 403, 404) are of us: they pass when our account is in order again."""

HANDED_OVER_WITHIN = timedelta(hours=1)
"""MyDHL refuses a shipping time that has passed."""

EXPRESS_DOMESTIC, EXPRESS_WITHIN_THE_UNION, EXPRESS_WORLDWIDE = "N", "U", "P"
"""DHL's products, by the codes that are the same everywhere. Only the last is for what customs must see."""

_MEMBERS = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
EUROPEAN_UNION = frozenset(_MEMBERS.split())
"""Its members (https://european-union.europa.eu/principles-countries-history/eu-countries_en): nothing is declared between them.
Parts of them outside its customs or tax territory that share their codes (the Canary Islands, Åland, Livigno, …) are not told
apart."""

LOOKED_BACK = timedelta(days=30)
"""MyDHL searches by reference only within the days it is told. What is looked for was asked for minutes ago; days, if DHL was
away for so long."""

_CODES = "AD AF AR BA BN BR CA CC CD CM CR CS DD DF DS FD HP IC MC MD MS ND NH OH OK PD PL PU RD RR RT SA SC SS TP TR UD WC"
HANDLED = frozenset(_CODES.split())
"""The events that DHL Express publishes codes for, from PU (picked up) to OK (delivered): DHL has the parcel, or had it. That
only its data came ("Shipment information received") is none of them. The list, as others keep it:
https://github.com/karrioapi/karrio/blob/main/modules/connectors/mydhl/vendors/status_1.csv"""

_moment = TypeAdapter(Annotated[datetime, AfterValidator(in_utc)])


class _Event(BaseModel):
    """What befell a shipment, by the clock of where it was."""

    date: str
    time: str
    offset: str | None = Field(None, alias="GMTOffset")
    code: str = Field(alias="typeCode")

    @property
    def at(self) -> datetime:
        return _moment.validate_python(f"{self.date}T{self.time}{self.offset or ''}")


_events = TypeAdapter(list[_Event])


class _Made(BaseModel):
    """What is read of a shipment that MyDHL tells of."""

    waybill: Annotated[str, text(64)] = Field(alias="shipmentTrackingNumber")
    events: Any = None
    documents: Any = None


class _Document(BaseModel):
    content: str
    kind: str = Field(alias="typeCode")


_documents = TypeAdapter(list[_Document])


class _Tracking(BaseModel):
    shipments: list[_Made]


class Dhl:
    """DHL Express, with the shipper's own account."""

    is_ours = False

    def __init__(self, told: LogisticsSettings) -> None:
        self._told = told
        auth = (told.dhl_username, told.dhl_password.get_secret_value())
        self._api = Partner(
            "dhl",
            told.dhl_url or "",
            tls.outward(told),
            timeout=told.partner_timeout,
            at_a_time=told.partner_calls,
            auth=auth,
        )

    async def book(self, shipment: Shipment, *, again: bool) -> Answer:
        if again and not isinstance(found := await self.find(shipment), NotBooked):
            return found
        try:
            made = await self._api.call("POST", "/shipments", json=request(shipment, self._told, datetime.now(UTC)))
            return _booked(answer := _Made.model_validate(made), _label(answer))
        except PartnerRefused as refusal:
            return Refused(_reason(refusal)) if refusal.status in UNFIT else _not_us(refusal)
        except PartnerSilent:
            return StillAtIt()
        except PartnerUnknown:
            return Unknown()
        except ValidationError as error:
            return _unreadable(error)

    async def find(self, shipment: Shipment) -> Answer:
        today = datetime.now(UTC).date()
        by_reference = {
            "shipmentReference": shipment.reference,
            "shipmentReferenceType": "CU",
            "shipperAccountNumber": self._told.dhl_account,
            "dateRangeFrom": str(today - LOOKED_BACK),
            "dateRangeTo": str(today + timedelta(days=1)),  # where the shipper is, it may be tomorrow already
        }
        tracked = await self._tracked(by_reference)
        if isinstance(tracked, Unknown):
            return tracked
        return _booked(tracked[0]) if tracked else NotBooked()

    async def withdraw(self, shipment: Shipment) -> Answer:
        """MyDHL has no call for it: a label is withdrawn by not using it. It is only asked whether it has the parcel already.
        (That a label nobody hands over is not charged is an assumption: MyDHL's reference does not say.)"""
        assert shipment.waybill is not None
        tracked = await self._tracked({"shipmentTrackingNumber": shipment.waybill})
        if isinstance(tracked, Unknown):
            return tracked
        try:
            events = [event for made in tracked for event in _events.validate_python(made.events or [])]
            handled = [event.at for event in events if event.code in HANDLED]
        except ValidationError as error:
            return _unreadable(error)
        return Collected(min(handled)) if handled else Withdrawn()

    async def _tracked(self, question: dict[str, str]) -> list[_Made] | Unknown:
        try:
            return _Tracking.model_validate(await self._api.call("GET", "/tracking", params=question)).shipments
        except PartnerRefused as refusal:
            return [] if refusal.status == 404 else _not_us(refusal)
        except PartnerUnknown:
            return Unknown()
        except ValidationError as error:
            return _unreadable(error)


def request(shipment: Shipment, told: LogisticsSettings, now: datetime) -> dict[str, Any]:
    """The body of `POST /shipments`."""
    assert shipment.ship_to is not None
    product = _product(told.shipper.country, shipment.ship_to.country)
    is_declared = product == EXPRESS_WORLDWIDE
    length, width, height = told.parcel_cm
    content: dict[str, Any] = {
        "packages": [{"weight": told.parcel_kg, "dimensions": {"length": length, "width": width, "height": height}}],
        "isCustomsDeclarable": is_declared,
        "description": shipment.contents,
        "incoterm": "DAP",
        "unitOfMeasurement": "metric",
    }
    if is_declared:
        assert shipment.value is not None
        assert shipment.currency is not None
        content["declaredValue"] = float(to_major(shipment.value, shipment.currency))
        content["declaredValueCurrency"] = shipment.currency
    return {
        "plannedShippingDateAndTime": (now + HANDED_OVER_WITHIN).strftime("%Y-%m-%dT%H:%M:%S GMT+00:00"),
        "pickup": {"isRequested": False},
        "productCode": product,
        "accounts": [{"typeCode": "shipper", "number": told.dhl_account}],
        "customerDetails": {
            "shipperDetails": _party(told.shipper, told.shipper.phone),
            "receiverDetails": _party(shipment.ship_to, shipment.phone or told.shipper.phone),
        },
        "content": content,
        "customerReferences": [{"value": shipment.reference, "typeCode": "CU"}],
    }


def _product(shipper: str, receiver: str) -> str:
    if shipper == receiver:
        return EXPRESS_DOMESTIC
    return EXPRESS_WITHIN_THE_UNION if {shipper, receiver} <= EUROPEAN_UNION else EXPRESS_WORLDWIDE


def _party(address: Address, phone: str | None) -> dict[str, Any]:
    lines = wrap(" ".join(filter(None, (address.line1, address.line2))), LINE)
    # what does not fit stays in the last line: DHL refuses it, rather than that a part of an address is left out
    lines = [*lines[:2], " ".join(lines[2:])] if len(lines) > 3 else lines
    return {
        "postalAddress": {
            "postalCode": address.postcode,
            "cityName": address.city,
            "countryCode": address.country,
            **({"provinceName": address.province} if address.province else {}),
            **{f"addressLine{number}": line for number, line in enumerate(lines, start=1)},
        },
        "contactInformation": {"phone": phone, "companyName": address.name[:100], "fullName": address.name},
    }


def _booked(made: _Made, label: bytes | None = None) -> Booked:
    return Booked(made.waybill, f"https://www.dhl.com/en/express/tracking.html?AWB={made.waybill}", label)


def _label(made: _Made) -> bytes | None:
    """The PDF to print. What comes without one that can be kept is booked all the same."""
    try:
        labels = [each.content for each in _documents.validate_python(made.documents or []) if each.kind == "label"]
        content = b64decode(labels[0], validate=True) if labels else b""
    except ValueError:  # pydantic's, or that it is not base64
        content = b""
    if content.startswith(b"%PDF-") and len(content) <= LARGEST_LABEL:
        return content
    log.warning("DHL's answer has no label that can be kept", waybill=made.waybill)
    return None


def _reason(refusal: PartnerRefused) -> str:
    """In DHL's own words."""
    body = refusal.body if isinstance(refusal.body, dict) else {}
    details = body.get("additionalDetails")
    said = [body.get("detail"), *(details if isinstance(details, list) else [details])]
    return "DHL: " + "; ".join(str(each) for each in said if each)


def _not_us(refusal: PartnerRefused) -> Unknown:
    log.error("DHL refuses us, not the parcel; it will be asked again", status=refusal.status)
    return Unknown()


def _unreadable(error: ValidationError) -> Unknown:
    log.error("DHL's answer cannot be read; it will be asked again", why=explain(error))
    return Unknown()
