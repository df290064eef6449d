"""HTTP in."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ValidationError

from services.logistics import progress, standard_webhooks, store, tracking, views
from services.logistics.settings import settings
from services.logistics.views import ShipmentView
from shared.auth import scope
from shared.codec import explain
from shared.events.fields import OrderId
from shared.http import Reader, Transactional, Tx
from shared.problems import NotFound, Unauthenticated, Unprocessable

shipments = APIRouter(prefix="/api/shipments", tags=["shipments"], route_class=Transactional)
webhooks = APIRouter(prefix="/api/webhooks", tags=["webhooks"], route_class=Transactional)


class Shipments(BaseModel):
    """An order's shipments."""

    shipments: list[ShipmentView]


class Taken(BaseModel):
    """How many scans a notification told of; none when it had come before."""

    scans: int


@shipments.get("", dependencies=[scope("shipments:read")])
async def list_shipments(order_id: Annotated[OrderId, Query()], reader: Reader) -> Shipments:
    """An order's parcel, once the order is paid."""
    return Shipments(shipments=await views.of_order(reader, order_id))


@shipments.get("/{shipment_id}", dependencies=[scope("shipments:read")])
async def get_shipment(shipment_id: UUID, reader: Reader) -> ShipmentView:
    """One parcel."""
    found = await views.shipment(reader, shipment_id)
    if found is None:
        raise NotFound(f"there is no shipment {shipment_id}")
    return found


@webhooks.post("/dhl")
async def take_scans(request: Request, tx: Tx) -> Taken:
    """Scans of any carrier's parcels, in the form of DHL's Shipment Tracking Unified Push, signed by Standard Webhooks.

    A scan of a number that is not known here is kept until it is. 401 when the signature is not right or not of these
    five minutes."""
    body = await request.body()
    try:
        webhook_id = standard_webhooks.verify(settings().webhook_keys, request.headers, body, tx.now)
        scans = tracking.read(body)
    except standard_webhooks.NotSigned as error:
        raise Unauthenticated(str(error)) from None
    except ValidationError as error:
        raise Unprocessable(explain(error)) from None
    if not await store.take_webhook(tx, "dhl", webhook_id):
        return Taken(scans=0)
    await store.keep_scans(tx, scans)
    await progress.track(tx, scans)
    return Taken(scans=len(scans))
