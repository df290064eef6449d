"""Whatever MyDHL answers is an answer: nothing that it says, or leaves out, is an exception."""

from typing import Any

import pytest
from pydantic import SecretStr

from services.logistics.carriers.dhl import Dhl
from services.logistics.settings import LogisticsSettings
from services.logistics.shipping import Answer, Booked, NotBooked, Refused, Unknown
from tests.builders import an_address
from tests.unit.logistics.answering import answering
from tests.unit.logistics.parcels import a_paid_shipment

PARCEL = a_paid_shipment(ship_to=an_address(country="DE", postcode="10115", city="Berlin"))

NO_ANSWERS: list[object] = [None, [], "made", {}, {"shipmentTrackingNumber": None}, {"shipmentTrackingNumber": ""}]


def dhl_at(url: str) -> Dhl:
    needed: dict[str, Any] = {"postgres_url": SecretStr("-"), "rabbitmq_url": SecretStr("-"), "auth_jwks": "-"}
    return Dhl(LogisticsSettings(**needed, dhl_url=url, dhl_username="-", dhl_account="123456789"))


async def book(*answers: tuple[int, object], again: bool = False) -> Answer:
    async with answering(*answers) as dhl:
        return await dhl_at(dhl.url).book(PARCEL, again=again)


async def test_a_booking_says_its_number() -> None:
    answer = await book((201, {"shipmentTrackingNumber": "1234567890", "documents": []}))

    assert isinstance(answer, Booked)
    assert answer.waybill == "1234567890"


@pytest.mark.parametrize("said", NO_ANSWERS)
async def test_a_booking_without_a_number_is_looked_for_before_it_is_asked_for_again(said: object) -> None:
    assert await book((201, said)) == Unknown()

    tracked = {"shipments": [{"shipmentTrackingNumber": "1234567890", "events": None}]}
    assert isinstance(await book((200, tracked), again=True), Booked)


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        (["#/a: too long", None, "#/b: missing"], "DHL: Problems; #/a: too long; #/b: missing"),
        ("#/a: too long", "DHL: Problems; #/a: too long"),
        ({"a": "too long"}, "DHL: Problems; {'a': 'too long'}"),
        (None, "DHL: Problems"),
    ],
)
async def test_a_refusal_is_one_whatever_its_details_are(details: object, reason: str) -> None:
    assert await book((400, {"detail": "Problems", "additionalDetails": details})) == Refused(reason)


@pytest.mark.parametrize("said", [None, [], "no", {}])
async def test_a_refusal_without_words_is_one_too(said: object) -> None:
    assert isinstance(await book((422, said)), Refused)


@pytest.mark.parametrize(
    "said", [*NO_ANSWERS, {"shipments": None}, {"shipments": {}}, {"shipments": [None]}, {"shipments": [{}]}]
)
async def test_a_tracking_that_cannot_be_read_says_nothing_of_the_parcel(said: object) -> None:
    async with answering((200, said)) as dhl:
        assert await dhl_at(dhl.url).find(PARCEL) == Unknown()


async def test_a_tracking_of_nothing_says_that_there_is_no_booking() -> None:
    async with answering((200, {"shipments": []})) as dhl:
        assert await dhl_at(dhl.url).find(PARCEL) == NotBooked()
