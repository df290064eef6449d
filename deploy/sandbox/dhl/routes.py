"""MyDHL's HTTP interface."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from deploy.sandbox import bodies, credentials
from deploy.sandbox.dhl import problems, shipment_request
from deploy.sandbox.dhl.waybills import Waybills
from deploy.sandbox.faults import Faults
from deploy.sandbox.holding import hold
from deploy.sandbox.json_answers import json_answer
from deploy.sandbox.pace import Pace
from deploy.sandbox.settings import Settings

HELD_POSTAL_CODE = "00408"
FAILS_ONCE_POSTAL_CODE = "00500"
REFUSED_POSTAL_CODE = "00422"


def api(settings: Settings, waybills: Waybills, faults: Faults, pace: Pace) -> APIRouter:
    """The routes under /dhl."""
    failed_once: set[str] = set()

    async def admits(request: Request) -> None:
        username, password = settings.dhl_username.get_secret_value(), settings.dhl_password.get_secret_value()
        if not credentials.is_basic(request, username, password):
            raise problems.unauthorised()
        if await faults.strikes("dhl"):
            raise problems.server_error()

    router = APIRouter(prefix="/dhl", tags=["dhl"], dependencies=[Depends(admits)])

    @router.post("/shipments")
    async def make_waybill(request: Request) -> Response:
        wanted = shipment_request.parse(await bodies.read(request), settings.dhl_account)
        postal_code = wanted.receiver_postal_code
        if postal_code == REFUSED_POSTAL_CODE:
            raise problems.address_refused()
        if postal_code == FAILS_ONCE_POSTAL_CODE and wanted.reference not in failed_once:
            failed_once.add(wanted.reference)
            raise problems.server_error()
        waybill = waybills.make(wanted)
        if postal_code == HELD_POSTAL_CODE:
            await hold(request, pace.hold)
        return json_answer(waybill.created(), 201)

    @router.get("/tracking")
    async def track(
        number: Annotated[str, Query(alias="shipmentTrackingNumber")] = "",
        reference: Annotated[str, Query(alias="shipmentReference")] = "",
        account: Annotated[str, Query(alias="shipperAccountNumber")] = "",
        made_from: Annotated[str, Query(alias="dateRangeFrom")] = "",
        made_to: Annotated[str, Query(alias="dateRangeTo")] = "",
    ) -> Response:
        if number:
            waybill = waybills.with_number(number)
            found = [waybill] if waybill else []
        elif not reference:
            raise problems.bad_request(["shipmentTrackingNumber or shipmentReference: is required"])
        elif account != settings.dhl_account:
            raise problems.bad_request(["shipperAccountNumber: must be the shipper's, with shipmentReference"])
        else:
            first, last = _day("dateRangeFrom", made_from), _day("dateRangeTo", made_to)
            found = [waybill for waybill in waybills.with_reference(reference) if first <= waybill.made_at.date() <= last]
        if not found:
            raise problems.nothing_found()
        return json_answer({"shipments": [waybill.tracked() for waybill in found]})

    return router


def _day(name: str, said: str) -> date:
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise problems.bad_request([f"{name}: a search by reference needs a timeframe, YYYY-MM-DD"]) from None
