"""What logistics says of parcels."""

from pydantic import AwareDatetime

from shared.events.event import Event
from shared.events.fields import OrderId, Reason


class Shipment(Event):
    """Which parcel of which order."""

    order_id: OrderId
    shipment_id: str


class ShipmentCreated(Shipment, type="shipment.created"):
    """A carrier has taken the parcel on: there is a waybill."""

    carrier: str
    waybill: str
    tracking_url: str | None = None

    def note(self) -> str:
        return f"{self.carrier} {self.waybill}"


class TrackingPushed(Shipment, type="tracking.pushed"):
    """The tracking number has reached the shopper. `channel` is how: sms, or app (this event is the message)."""

    carrier: str
    tracking_number: str
    channel: str

    def note(self) -> str:
        return f"{self.tracking_number} by {self.channel}"


class ShipmentInTransit(Shipment, type="shipment.in_transit"):
    """The carrier has scanned the parcel on its way, at `at`."""

    at: AwareDatetime


class ShipmentDelivered(Shipment, type="shipment.delivered"):
    """The carrier has handed the parcel over, at `at`. Of several, as when it is signed for later, the last counts."""

    at: AwareDatetime


class ShipmentFailed(Shipment, type="shipment.failed"):
    """No carrier takes the parcel, or it could not be handed over; a person must look, and may release the order."""

    reason: Reason

    def note(self) -> str:
        return self.reason


class ShipmentCancelled(Shipment, type="shipment.cancelled"):
    """The parcel will not be sent: its order was cancelled before it left; its waybill, if any, is withdrawn. What was taken
    off the books for it is still here."""
