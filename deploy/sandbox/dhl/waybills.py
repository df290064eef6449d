"""The waybills that DHL has made for us, in memory."""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from deploy.sandbox.dhl.label import label
from deploy.sandbox.dhl.shipment_request import ShipmentRequest
from deploy.sandbox.json_answers import Document

ScanStatus = Literal["pre-transit", "transit", "delivered", "failure"]

SCANS: dict[ScanStatus, tuple[str, str]] = {
    "pre-transit": ("SD", "Shipment information received"),  # DHL publishes no code for it: this one is ours
    "transit": ("DF", "Shipment has departed from a DHL facility"),
    "delivered": ("OK", "Delivered"),
    "failure": ("NH", "Delivery attempted; recipient not home"),
}


@dataclass(frozen=True, slots=True)
class Scan:
    """What a courier's scanner said, and when."""

    status: ScanStatus
    at: datetime

    @property
    def description(self) -> str:
        return SCANS[self.status][1]

    def document(self) -> Document:
        """An entry of a tracked shipment's `events`."""
        return {
            "date": self.at.strftime("%Y-%m-%d"),
            "time": self.at.strftime("%H:%M:%S"),
            "GMTOffset": "+00:00",
            "typeCode": SCANS[self.status][0],
            "description": self.description,
        }


@dataclass(slots=True)
class Waybill:
    """One label. `serial` numbers its packages; no two labels share one."""

    tracking_number: str
    serial: int
    reference: str
    product_code: str
    receiver: str
    description: str
    packages: int
    made_at: datetime
    scans: list[Scan] = field(default_factory=list)

    def created(self) -> Document:
        """The answer to `POST /shipments`."""
        return {
            "shipmentTrackingNumber": self.tracking_number,
            "trackingUrl": f"https://express.api.dhl.com/mydhlapi/tracking?shipmentTrackingNumber={self.tracking_number}",
            "packages": [
                {"referenceNumber": number, "trackingNumber": piece} for number, piece in enumerate(self._pieces(), start=1)
            ],
            "documents": [
                {
                    "imageFormat": "PDF",
                    "content": label(self.tracking_number, self.receiver),
                    "typeCode": "label",
                }
            ],
        }

    def tracked(self) -> Document:
        """An entry of `shipments` in the answer to `GET /tracking`."""
        return {
            "shipmentTrackingNumber": self.tracking_number,
            "status": "Success",
            "shipmentTimestamp": self.made_at.strftime("%Y-%m-%dT%H:%M:%S"),
            "productCode": self.product_code,
            "description": self.description,
            "shipperReferences": [{"value": self.reference, "typeCode": "CU"}] if self.reference else [],
            "events": [scan.document() for scan in self.scans],
            "numberOfPieces": self.packages,
            "pieces": [{"number": number, "trackingNumber": piece} for number, piece in enumerate(self._pieces(), start=1)],
        }

    def _pieces(self) -> list[str]:
        return [f"JD01{self.serial:013d}{number:03d}" for number in range(1, self.packages + 1)]


class Waybills:
    """Every waybill by number and by reference. The same reference twice is two waybills, as at DHL."""

    def __init__(self) -> None:
        # Millisecond-based, so that a sandbox started later does not give a number again that the product still knows.
        self._next_serial = int(time.time() * 1000)
        self._by_number: dict[str, Waybill] = {}
        self._by_reference: defaultdict[str, list[Waybill]] = defaultdict(list)

    def make(self, request: ShipmentRequest) -> Waybill:
        serial = self._next_serial
        self._next_serial += 1
        waybill = Waybill(
            tracking_number=str(1_000_000_000 + serial % 9_000_000_000),
            serial=serial,
            reference=request.reference,
            product_code=request.product_code,
            receiver=request.customer_details.receiver_details.contact_information.full_name,
            description=request.content.description,
            packages=len(request.content.packages),
            made_at=datetime.now(UTC),
        )
        self._by_number[waybill.tracking_number] = waybill
        self._by_reference[waybill.reference].append(waybill)
        return waybill

    def with_number(self, tracking_number: str) -> Waybill | None:
        return self._by_number.get(tracking_number)

    def with_reference(self, reference: str) -> list[Waybill]:
        """Oldest first."""
        return list(self._by_reference.get(reference, ()))

    def all(self) -> list[Waybill]:
        return list(self._by_number.values())
