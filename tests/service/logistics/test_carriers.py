"""What every carrier promises, whoever it is."""

from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat

from services.logistics import shipping
from services.logistics.carriers import carriers
from services.logistics.routing import CarrierName
from services.logistics.shipping import Booked, NotBooked, Refused, Shipment, StillAtIt, Unknown, Withdrawn
from shared.telemetry import now
from tests.service.house import House
from tests.service.logistics.parcels import an_order_abroad


def a_parcel(carrier: str, postcode: str = "10115", **facts: Any) -> Shipment:
    id: UUID = uuid_utils.compat.uuid7()
    blank = Shipment(id, id.hex, serial=int.from_bytes(id.bytes[-4:]), **facts)
    return shipping.pay(shipping.deduct(blank, now()), an_order_abroad(id.hex, postcode), carrier, now())


def booked(parcel: Shipment, answer: shipping.Answer) -> Shipment:
    assert isinstance(answer, Booked), answer
    return shipping.learn(parcel, answer, now())


@pytest.mark.parametrize("name", CarrierName)
async def test_booking_the_same_parcel_twice_returns_the_same_waybill(house: House, name: str) -> None:
    carrier, parcel = carriers()[name], a_parcel(name)

    first = await carrier.book(parcel, again=False)

    assert isinstance(first, Booked)
    assert await carrier.book(parcel, again=True) == first


@pytest.mark.parametrize("name", CarrierName)
async def test_two_parcels_have_two_waybills(house: House, name: str) -> None:
    carrier = carriers()[name]

    assert await carrier.book(a_parcel(name), again=False) != await carrier.book(a_parcel(name), again=False)


@pytest.mark.parametrize("name", CarrierName)
async def test_a_parcel_that_was_never_booked_is_not_found(house: House, name: str) -> None:
    assert await carriers()[name].find(a_parcel(name)) == NotBooked()


@pytest.mark.parametrize("name", CarrierName)
async def test_a_booked_parcel_is_found(house: House, name: str) -> None:
    carrier, parcel = carriers()[name], a_parcel(name)
    answer = await carrier.book(parcel, again=False)

    assert await carrier.find(booked(parcel, answer)) == answer


@pytest.mark.parametrize("name", CarrierName)
async def test_withdrawing_twice_is_withdrawing_once(house: House, name: str) -> None:
    carrier, parcel = carriers()[name], a_parcel(name)
    parcel = booked(parcel, await carrier.book(parcel, again=False))

    assert [await carrier.withdraw(parcel) for _ in range(2)] == [Withdrawn(), Withdrawn()]


async def test_dhls_refusals_outages_and_silence_are_answers_too(house: House) -> None:
    dhl = carriers()[CarrierName.DHL]

    assert isinstance(await dhl.book(a_parcel("dhl", "00422"), again=False), Refused)
    assert await dhl.book(a_parcel("dhl", "00500"), again=False) == Unknown()
    assert await dhl.book(a_parcel("dhl", "00408"), again=False) == StillAtIt()


async def test_a_parcel_of_which_dhl_has_only_been_told_is_withdrawn(house: House) -> None:
    dhl, parcel = carriers()[CarrierName.DHL], a_parcel("dhl")
    parcel = booked(parcel, await dhl.book(parcel, again=False))
    await house.sandbox.post(f"/sandbox/shipments/{parcel.waybill}/scan", json={"status": "pre-transit"})

    assert await dhl.withdraw(parcel) == Withdrawn()


async def test_a_parcel_that_dhl_has_collected_cannot_be_withdrawn(house: House) -> None:
    dhl, parcel = carriers()[CarrierName.DHL], a_parcel("dhl")
    parcel = booked(parcel, await dhl.book(parcel, again=False))
    await house.sandbox.post(f"/sandbox/shipments/{parcel.waybill}/scan", json={"status": "transit"})

    answer = await dhl.withdraw(parcel)

    assert isinstance(answer, shipping.Collected)
    assert abs((answer.at - now()).total_seconds()) < 60
