"""HTTP in."""

from dataclasses import dataclass, replace
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ValidationError

from services.logistics import header_token, progress, standard_webhooks, store, tracking, views
from services.logistics.jobs import LABELS_KEPT
from services.logistics.settings import settings
from services.logistics.shipping import State
from services.logistics.tracking import Scan
from services.logistics.views import ShipmentView
from shared import bounds, cards, telemetry
from shared.auth import of_every_shop, scope
from shared.codec import explain
from shared.database import Reader as DatabaseReader
from shared.events.fields import OrderId
from shared.http import Reader, Signed, Transactional, Tx, read_body
from shared.problems import NotFound, Unauthenticated, Unprocessable

log = structlog.get_logger()

shipments = APIRouter(prefix="/api/shipments", tags=["shipments"], route_class=Transactional)
webhooks = APIRouter(prefix="/api/webhooks", tags=["webhooks"], route_class=Signed)


class Shipments(BaseModel):
    """An order's shipments."""

    shipments: list[ShipmentView]


class Taken(BaseModel):
    """How many scans a notification told of; none when it had come before."""

    scans: int


@shipments.get("", dependencies=[scope("shipments:read"), of_every_shop])
async def list_shipments(order_id: Annotated[OrderId, Query()], reader: Reader) -> Shipments:
    """An order's parcel, once the order is paid."""
    return Shipments(shipments=await views.of_order(reader, order_id))


@shipments.get("/{shipment_id}", dependencies=[scope("shipments:read"), of_every_shop])
async def get_shipment(shipment_id: UUID, reader: Reader) -> ShipmentView:
    """One parcel."""
    return await _shipment(reader, shipment_id)


PDF: dict[int | str, dict[str, Any]] = {200: {"content": {"application/pdf": {}}, "description": "The label."}}


@shipments.get(
    "/{shipment_id}/label",
    dependencies=[scope("shipments:read"), of_every_shop],
    response_class=Response,
    responses=PDF,
)
async def get_label(shipment_id: UUID, reader: Reader) -> Response:
    """The parcel's label as its carrier gave it, a PDF to print; it shows whom the parcel is for.

    404 when it is not booked yet, is cancelled, or its carrier gave no label: our own fleet gives none, and DHL's comes only with
    the answer to the booking. It is here for 30 days."""
    shipment = await _shipment(reader, shipment_id)
    if shipment.state is State.CANCELLED:
        raise NotFound(f"shipment {shipment_id} is cancelled: its label, if any, must not be used")
    if shipment.waybill is None:
        raise NotFound(f"shipment {shipment_id} has no waybill yet")
    label = await views.label(reader, shipment_id)
    if label is None:
        raise NotFound(
            f"no label of {shipment.waybill} is here: {shipment.carrier} gave none, or over {LABELS_KEPT.days} days ago"
        )
    return Response(label, media_type="application/pdf")


async def _shipment(reader: DatabaseReader, shipment_id: UUID) -> ShipmentView:
    found = await views.shipment(reader, shipment_id)
    if found is None:
        raise NotFound(f"there is no shipment {shipment_id}")
    return found


SIGNED_BODY = {
    "parameters": [
        {"name": f"webhook-{name}", "in": "header", "required": False, "schema": {"type": "string"}}
        for name in ("id", "timestamp", "signature", "token")
    ],
    "requestBody": {
        "required": True,
        "description": "https://developer.dhl.com/api-reference/shipment-tracking-unified-push",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
}


@dataclass(frozen=True, slots=True)
class _Told:
    """What a signed notification said."""

    webhook_id: str
    scans: list[Scan]


async def _signed(request: Request) -> _Told:
    """The signature, or token, is checked before anything is read, and before there is a transaction."""
    body = await read_body(request)
    try:
        if (token := request.headers.get(header_token.HEADER)) is not None:
            webhook_id = header_token.verify(settings().webhook_tokens, token, body)
        else:
            webhook_id = standard_webhooks.verify(settings().webhook_keys, request.headers, body, telemetry.now())
        bounds.check_json(body)
        said = tracking.read(body, telemetry.now())
    except standard_webhooks.NotSigned as error:
        raise Unauthenticated(str(error)) from None
    except ValidationError as error:
        raise Unprocessable(explain(error)) from None
    if said.unreadable:
        why = [explain(error) for error in said.unreadable]
        log.error("parcels that a notification tells of cannot be read; the others are taken", times=len(why), why=why[0])
    # a carrier's words are kept: they are not refused, for the parcel's sake, and no card number stays in them
    return _Told(webhook_id, [replace(scan, description=cards.masked_text(scan.description)) for scan in said.scans])


@webhooks.post("/dhl", openapi_extra=SIGNED_BODY)
async def take_scans(told: Annotated[_Told, Depends(_signed)], tx: Tx) -> Taken:
    """Scans of any carrier's parcels, in the form of DHL's Shipment Tracking Unified Push, signed by Standard Webhooks or with
    the token of the subscription.

    A scan of a number that is not known here is kept until it is, for 30 days. What tells of the subscription itself is taken and
    changes nothing. A parcel that cannot be read, or was scanned over a year ago or over a day ahead, is passed over; 422 where
    there is no other. 401 when the token or the signature is not right, or the signature not of these five minutes."""
    if not await store.take_webhook(tx, "dhl", told.webhook_id):
        return Taken(scans=0)
    await store.keep_scans(tx, told.scans)
    await progress.track(tx, told.scans)
    return Taken(scans=len(told.scans))
