"""What the shopper is told."""

import pytest

from services.logistics import shipping
from services.logistics.notify import message
from services.logistics.shipping import Booked
from tests.builders import an_address
from tests.unit.logistics.parcels import NOON, a_booked_shipment, a_paid_shipment


def test_a_parcel_within_china_is_announced_in_chinese() -> None:
    said = message(a_booked_shipment("OF0000000000013", "own_fleet"))

    assert said == "您的包裹将由自营车队配送，运单号 OF0000000000013。"


def test_a_parcel_abroad_is_announced_in_english() -> None:
    shipment = a_booked_shipment(ship_to=an_address(country="DE"))

    assert message(shipment) == "Your parcel is on its way with DHL. Tracking number: 1234567890."


@pytest.mark.parametrize("country", ["CN", "DE"])
def test_where_a_carrier_has_a_page_of_the_parcel_the_shopper_is_sent_there(country: str) -> None:
    shipment = a_paid_shipment(ship_to=an_address(country=country))

    said = message(shipping.learn(shipment, Booked("1234567890", "https://dhl.example/1234567890"), NOON))

    assert said.endswith(" https://dhl.example/1234567890")


@pytest.mark.parametrize("country", ["CN", "DE"])
def test_nothing_is_said_of_the_person(country: str) -> None:
    said = message(a_booked_shipment(ship_to=an_address(country=country)))

    assert not any(personal in said for personal in ("李雷", "文三路", "杭州", "+86", "HP-1001"))
