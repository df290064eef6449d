"""Whatever MyDHL answers is an answer: nothing that it says, or leaves out, is an exception."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from services.logistics.carriers.dhl import Dhl
from services.logistics.settings import LogisticsSettings
from services.logistics.shipping import LARGEST_LABEL, Answer, Booked, Collected, NotBooked, Refused, Unknown, Withdrawn
from tests.builders import an_address
from tests.unit.logistics.answering import answering
from tests.unit.logistics.parcels import a_booked_shipment, a_paid_shipment

PARCEL = a_paid_shipment(ship_to=an_address(country="DE", postcode="10115", city="Berlin"))
BOOKED = a_booked_shipment(ship_to=an_address(country="DE", postcode="10115", city="Berlin"))

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
    assert (answer.waybill, answer.label) == ("1234567890", None)


def a_document(content: bytes = b"%PDF-1.4 label", kind: str = "label") -> dict[str, str]:
    return {"imageFormat": "PDF", "content": b64encode(content).decode(), "typeCode": kind}


@pytest.mark.parametrize(
    ("documents", "label"),
    [
        ([a_document()], b"%PDF-1.4 label"),
        ([a_document(b"%PDF-1.4 invoice", "invoice"), a_document()], b"%PDF-1.4 label"),
        ([a_document(b"%PDF-1.4 invoice", "invoice")], None),
        ([a_document(b"^XA no PDF ^XZ")], None),
        ([a_document(b"%PDF-" + b" " * LARGEST_LABEL)], None),
        ([{**a_document(), "content": "no base64!"}], None),
        ([{**a_document(), "content": "é"}], None),
        ([{**a_document(), "content": None}], None),
        (["label"], None),
        ({"label": "-"}, None),
        (None, None),
    ],
)
async def test_a_booking_has_its_label_when_there_is_one_and_is_one_without(documents: object, label: bytes | None) -> None:
    answer = await book((201, {"shipmentTrackingNumber": "1234567890", "documents": documents}))

    assert isinstance(answer, Booked)
    assert answer.label == label


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
        assert await dhl_at(dhl.url).withdraw(BOOKED) == Unknown()


async def test_a_tracking_of_nothing_says_that_there_is_no_booking() -> None:
    async with answering((200, {"shipments": []})) as dhl:
        assert await dhl_at(dhl.url).find(PARCEL) == NotBooked()


def an_event(code: str, time: str = "13:06:00", offset: str | None = None) -> dict[str, str]:
    return {"date": "2026-11-24", "time": time, "typeCode": code, **({"GMTOffset": offset} if offset else {})}


async def withdraw(events: object) -> Answer:
    async with answering((200, {"shipments": [{"shipmentTrackingNumber": "1234567890", "events": events}]})) as dhl:
        answer = await dhl_at(dhl.url).withdraw(BOOKED)
        assert dhl.asked == ["GET /tracking?shipmentTrackingNumber=1234567890 HTTP/1.1"]
        return answer


@pytest.mark.parametrize("events", [None, [], [an_event("SD")]])
async def test_a_label_that_dhl_only_knows_of_is_withdrawn_by_not_using_it(events: object) -> None:
    assert await withdraw(events) == Withdrawn()


@pytest.mark.parametrize("code", ["PU", "SA", "PL", "DF", "NH", "OK"])
async def test_what_dhl_has_had_in_hand_cannot_be_withdrawn(code: str) -> None:
    assert await withdraw([an_event("SD", "08:00:00"), an_event(code)]) == Collected(datetime(2026, 11, 24, 13, 6, tzinfo=UTC))


async def test_the_first_scan_counts_by_the_clock_of_where_it_was() -> None:
    events = [an_event("DF", "14:30:00", "+01:00"), an_event("PU", "21:15:00", "+09:00")]

    assert await withdraw(events) == Collected(datetime(2026, 11, 24, 12, 15, tzinfo=UTC))


@pytest.mark.parametrize("events", ["PU", {"PU": 1}, [None], [{}], [an_event("PU", "soon")]])
async def test_events_that_cannot_be_read_withdraw_nothing(events: object) -> None:
    assert await withdraw(events) == Unknown()


@pytest.mark.parametrize(
    ("status", "answer"), [(404, Withdrawn()), (400, Unknown()), (401, Unknown()), (403, Unknown()), (500, Unknown())]
)
async def test_a_number_that_dhl_does_not_know_is_withdrawn_and_a_refusal_of_us_says_nothing(status: int, answer: Answer) -> None:
    async with answering((status, {"title": "-"})) as dhl:
        assert await dhl_at(dhl.url).withdraw(BOOKED) == answer
