"""What a demo or a test may do behind the partners' backs."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from deploy.sandbox.dhl.scanner import Scanner
from deploy.sandbox.dhl.waybills import ScanStatus
from deploy.sandbox.faults import Fault, Faults, Partner
from deploy.sandbox.json_answers import json_answer
from deploy.sandbox.ledger import Ledger


class ScanRequest(BaseModel):
    """What the courier's scanner is to say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: ScanStatus


def api(scanner: Scanner, ledger: Ledger, faults: Faults) -> APIRouter:
    """The routes under /sandbox."""
    router = APIRouter(prefix="/sandbox", tags=["sandbox"])

    @router.post("/shipments/{tracking_number}/scan")
    async def scan(tracking_number: str, wanted: ScanRequest) -> Response:
        """Scan a parcel, known to DHL or not; the webhook is on its way when this returns."""
        return json_answer(scanner.scan(tracking_number, wanted.status), 202)

    @router.get("/ledger")
    async def read_ledger(order_id: str = "", reference: str = "", to: str = "") -> Response:
        return json_answer(ledger.read(order_id, reference, to))

    @router.get("/faults")
    async def list_faults() -> list[Fault]:
        return faults.all()

    @router.post("/faults")
    async def switch_on(fault: Fault) -> Fault:
        faults.switch_on(fault)
        return fault

    @router.delete("/faults", status_code=204)
    async def clear(partner: Partner | None = None) -> None:
        faults.clear(partner)

    return router
