"""Our own vans. Waybill numbers come from a range of our own, so nobody is called."""

from services.logistics.shipping import Answer, Booked, NotBooked, Shipment, Withdrawn

DIGITS = 12


class OwnFleet:
    """A parcel's number is made of its serial, so booking it again cannot give another."""

    is_ours = True

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    async def book(self, shipment: Shipment, *, again: bool) -> Answer:
        assert shipment.serial is not None, "a serial is allotted before"
        return Booked(number(self._prefix, shipment.serial))

    async def find(self, shipment: Shipment) -> Answer:
        return Booked(shipment.waybill) if shipment.waybill else NotBooked()

    async def withdraw(self, shipment: Shipment) -> Answer:
        return Withdrawn()


def number(prefix: str, serial: int) -> str:
    """The prefix, twelve digits, and a check digit that catches every mistyped digit: OF0000000000013."""
    digits = f"{serial:0{DIGITS}d}"
    return f"{prefix}{digits}{check_digit(digits)}"


def check_digit(digits: str) -> int:
    """ISO/IEC 7064 MOD 11,10. (The UPU's S10 has a check digit too, but for eight digits, and only posts may use it.)"""
    product = 10
    for digit in digits:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return (11 - product) % 10
