"""What the shopper is told: that the parcel is on its way, and its number. No name, no address, no goods."""

from services.logistics.shipping import Shipment

CHINESE = frozenset({"CN", "HK", "MO", "TW"})

CARRIERS_IN_CHINESE = {"own_fleet": "自营车队", "dhl": "DHL"}
CARRIERS_IN_ENGLISH = {"own_fleet": "our own courier", "dhl": "DHL"}


def message(shipment: Shipment) -> str:
    """The text in the language of the country the parcel goes to. Its number is in it, so that it is known again."""
    assert shipment.ship_to is not None
    assert shipment.carrier is not None
    where = f" {shipment.tracking_url}" if shipment.tracking_url else ""
    if shipment.ship_to.country in CHINESE:
        carrier = CARRIERS_IN_CHINESE.get(shipment.carrier, shipment.carrier)
        return f"您的包裹将由{carrier}配送，运单号 {shipment.waybill}。{where}"
    carrier = CARRIERS_IN_ENGLISH.get(shipment.carrier, shipment.carrier)
    return f"Your parcel is on its way with {carrier}. Tracking number: {shipment.waybill}.{where}"
