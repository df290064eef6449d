"""Scans on a parcel's way, told to the product by signed webhook."""

from datetime import UTC, datetime

import orjson

from deploy.sandbox import identifiers, signatures
from deploy.sandbox.courier import Courier
from deploy.sandbox.dhl.waybills import Scan, ScanStatus, Waybills
from deploy.sandbox.json_answers import Document


class Scanner:
    """Takes scans of any parcel: DHL's own, or of a fleet that is tracked through the same webhook."""

    def __init__(self, waybills: Waybills, courier: Courier, url: str, secret: str) -> None:
        self._waybills = waybills
        self._courier = courier
        self._url = url
        self._secret = secret

    def scan(self, tracking_number: str, status: ScanStatus) -> Document:
        """Send the tracking webhook, and return its id and body."""
        scan = Scan(status, datetime.now(UTC))
        waybill = self._waybills.with_number(tracking_number)
        if waybill is not None:
            waybill.scans.append(scan)
        message_id = identifiers.new("msg_")
        document: Document = {
            "shipments": [
                {
                    "id": tracking_number,
                    "service": "express",
                    "status": {
                        "timestamp": scan.at.isoformat().replace("+00:00", "Z"),
                        "statusCode": status,
                        "description": scan.description,
                    },
                }
            ]
        }
        body = orjson.dumps(document)
        self._courier.send(self._url, body, lambda now: signatures.standard_webhooks(self._secret, message_id, body, now))
        return {"webhook_id": message_id, "webhook": document}
