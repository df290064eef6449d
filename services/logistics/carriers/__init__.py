"""Who takes parcels. Everything beyond this folder knows a carrier by its name and by what it promises here."""

from functools import cache
from typing import Protocol

from services.logistics.carriers.dhl import Dhl
from services.logistics.carriers.own_fleet import OwnFleet
from services.logistics.routing import CarrierName
from services.logistics.settings import settings
from services.logistics.shipping import Answer, Shipment


class Carrier(Protocol):
    """Booking the same parcel twice gives the same waybill, whatever became of the first answer.

    `is_ours`: nobody is called, so it may be asked inside a transaction. No method raises for what a partner does or
    fails to do: the answer is Unknown then, and it is asked again."""

    is_ours: bool

    async def book(self, shipment: Shipment, *, again: bool) -> Answer:
        """Booked, Refused or Unknown. `again`: it may have been booked before."""
        ...

    async def find(self, shipment: Shipment) -> Answer:
        """Booked, NotBooked or Unknown."""
        ...

    async def withdraw(self, shipment: Shipment) -> Answer:
        """Withdrawn, Collected when it is too late, or Unknown. Withdrawing twice is withdrawing once."""
        ...


@cache
def carriers() -> dict[str, Carrier]:
    """The carriers that are offered, by name."""
    told = settings()
    offered: dict[str, Carrier] = {CarrierName.OWN_FLEET: OwnFleet(told.own_fleet_prefix)}
    if told.dhl_url:
        offered[CarrierName.DHL] = Dhl(told)
    return offered
