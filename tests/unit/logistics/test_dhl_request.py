"""What MyDHL is told of a parcel; the sandbox's own schema judges it."""

from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from deploy.sandbox.dhl import shipment_request
from deploy.sandbox.dhl.problems import DhlError
from deploy.sandbox.dhl.shipment_request import ShipmentRequest
from services.logistics.carriers.dhl import request
from services.logistics.settings import LogisticsSettings
from services.logistics.shipping import Shipment
from shared.events.fields import Address
from tests.builders import a_customer, an_address
from tests.unit.logistics.parcels import NOON, a_paid_shipment


@pytest.fixture
def told() -> LogisticsSettings:
    needed: dict[str, Any] = {"postgres_url": SecretStr("-"), "rabbitmq_url": SecretStr("-"), "auth_jwks": "-"}
    return LogisticsSettings(**needed, dhl_account="123456789")


def read(shipment: Shipment, told: LogisticsSettings) -> ShipmentRequest:
    return shipment_request.parse(orjson.dumps(request(shipment, told, NOON)), "123456789")


def test_a_parcel_goes_to_its_receiver_under_our_reference(told: LogisticsSettings) -> None:
    sent = read(a_paid_shipment(ship_to=an_address(country="DE", postcode="10115", city="Berlin")), told)

    assert sent.receiver_postal_code == "10115"
    assert sent.reference == "00000000000000000000000000000001"
    assert sent.content.description == "1 x HP-1001"
    assert sent.customer_details.receiver_details.contact_information.phone == "+8613800000000"
    assert sent.planned_shipping_date_and_time == "2026-11-24T13:00:00 GMT+00:00"


def test_a_parcel_that_crosses_a_border_is_declared_with_its_value(told: LogisticsSettings) -> None:
    abroad = request(a_paid_shipment(ship_to=an_address(country="DE")), told, NOON)
    at_home = request(a_paid_shipment(ship_to=an_address(country="CN")), told, NOON)

    assert (abroad["productCode"], abroad["content"]["isCustomsDeclarable"]) == ("P", True)
    assert (abroad["content"]["declaredValue"], abroad["content"]["declaredValueCurrency"]) == (299.0, "CNY")
    assert (at_home["productCode"], at_home["content"]["isCustomsDeclarable"]) == ("N", False)


@pytest.mark.parametrize(
    ("shipper", "receiver", "product", "declared"),
    [
        ("DE", "FR", "U", False),
        ("DE", "IE", "U", False),
        ("DE", "DE", "N", False),
        ("DE", "GB", "P", True),
        ("DE", "CH", "P", True),
        ("DE", "NO", "P", True),
        ("CH", "DE", "P", True),
        ("CN", "DE", "P", True),
        ("CH", "NO", "P", True),
    ],
)
def test_no_customs_stand_between_members_of_the_union(
    told: LogisticsSettings, shipper: str, receiver: str, product: str, declared: bool
) -> None:
    told = told.model_copy(update={"shipper": an_address(country=shipper)})

    sent = request(a_paid_shipment(ship_to=an_address(country=receiver)), told, NOON)

    assert (sent["productCode"], sent["content"]["isCustomsDeclarable"]) == (product, declared)
    assert ("declaredValue" in sent["content"]) == declared


def test_a_province_is_on_the_label_and_none_is_not(told: LogisticsSettings) -> None:
    def province(ship_to: Address) -> str | None:
        return read(a_paid_shipment(ship_to=ship_to), told).customer_details.receiver_details.postal_address.province_name

    assert province(an_address(country="US", province="California")) == "California"
    assert province(an_address(country="DE", province="")) is None
    assert read(a_paid_shipment(), told).customer_details.shipper_details.postal_address.province_name == told.shipper.province


def test_a_province_too_long_for_dhl_is_refused_rather_than_cut(told: LogisticsSettings) -> None:
    with pytest.raises(DhlError, match="Multiple problems"):
        read(a_paid_shipment(ship_to=an_address(province="x" * 36)), told)


def test_a_long_address_takes_up_to_three_lines(told: LogisticsSettings) -> None:
    address = read(a_paid_shipment(ship_to=an_address(line1="Unter den Linden 1, " * 4, line2="3. Stock")), told)

    postal = address.customer_details.receiver_details.postal_address
    lines = [postal.address_line1, postal.address_line2, postal.address_line3]
    assert " ".join(filter(None, lines)) == "Unter den Linden 1, " * 4 + "3. Stock"


def test_an_address_too_long_for_a_label_is_refused_rather_than_cut(told: LogisticsSettings) -> None:
    with pytest.raises(DhlError):
        read(a_paid_shipment(ship_to=an_address(line1="很" * 300)), told)


def test_a_receiver_without_a_phone_is_reached_through_the_shipper(told: LogisticsSettings) -> None:
    sent = read(a_paid_shipment(customer=a_customer(phone=None)), told)

    assert sent.customer_details.receiver_details.contact_information.phone == told.shipper.phone
