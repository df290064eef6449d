"""DHL's waybills, tracking and webhook."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.unit.deploy.sandbox.waiting import until

NextWebhook = Callable[[], Awaitable[httpx.Request]]


def a_parcel(reference: str = "S-1", postal_code: str = "310000") -> dict[str, Any]:
    def party(postal_code: str, country: str) -> dict[str, Any]:
        return {
            "postalAddress": {
                "postalCode": postal_code,
                "cityName": "杭州市",
                "countryCode": country,
                "addressLine1": "文三路 1 号",
            },
            "contactInformation": {"phone": "+8613800000000", "companyName": "-", "fullName": "李雷 (home)"},
        }

    return {
        "plannedShippingDateAndTime": "2026-11-24T08:00:00 GMT+00:00",
        "pickup": {"isRequested": False},
        "productCode": "P",
        "accounts": [{"typeCode": "shipper", "number": "123456789"}],
        "customerDetails": {"shipperDetails": party("53113", "DE"), "receiverDetails": party(postal_code, "CN")},
        "content": {
            "packages": [{"weight": 0.5, "dimensions": {"length": 20, "width": 15, "height": 10}}] * 2,
            "isCustomsDeclarable": False,
            "description": "Headphones",
            "incoterm": "DAP",
            "unitOfMeasurement": "metric",
        },
        "customerReferences": [{"value": reference, "typeCode": "CU"}],
    }


def by_reference(reference: str, days_ago: int = 0) -> dict[str, str]:
    until = datetime.now(UTC).date() - timedelta(days=days_ago)
    return {
        "shipmentReference": reference,
        "shipmentReferenceType": "CU",
        "shipperAccountNumber": "123456789",
        "dateRangeFrom": str(until - timedelta(days=1)),
        "dateRangeTo": str(until + timedelta(days=1)),
    }


async def test_a_waybill_comes_with_its_packages_and_label(dhl: httpx.AsyncClient) -> None:
    answer = await dhl.post("/shipments", json=a_parcel())

    assert answer.status_code == 201
    waybill = answer.json()
    assert len(waybill["shipmentTrackingNumber"]) == 10
    assert waybill["shipmentTrackingNumber"].isdecimal()
    assert [package["referenceNumber"] for package in waybill["packages"]] == [1, 2]
    assert len({package["trackingNumber"] for package in waybill["packages"]}) == 2
    assert all(package["trackingNumber"].startswith("JD0") for package in waybill["packages"])
    [label] = waybill["documents"]
    assert (label["imageFormat"], label["typeCode"]) == ("PDF", "label")
    assert base64.b64decode(label["content"]).startswith(b"%PDF-")


async def test_the_same_reference_twice_makes_two_waybills(dhl: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
    first = (await dhl.post("/shipments", json=a_parcel())).json()
    second = (await dhl.post("/shipments", json=a_parcel())).json()
    tracked = (await dhl.get("/tracking", params=by_reference("S-1"))).json()

    numbers = [first["shipmentTrackingNumber"], second["shipmentTrackingNumber"]]
    assert len(set(numbers)) == 2
    assert [shipment["shipmentTrackingNumber"] for shipment in tracked["shipments"]] == numbers
    ledger = (await control.get("/sandbox/ledger", params={"reference": "S-1"})).json()
    assert [shipment["tracking_number"] for shipment in ledger["shipments"]] == numbers


async def test_a_reference_without_a_waybill_is_not_found(dhl: httpx.AsyncClient) -> None:
    answer = await dhl.get("/tracking", params=by_reference("S-1"))

    assert answer.status_code == 404
    assert set(answer.json()) == {"instance", "detail", "title", "message", "status"}
    assert answer.json()["status"] == 404


@pytest.mark.parametrize("date", ["dateRangeFrom", "dateRangeTo"])
async def test_a_search_by_reference_says_from_when_to_when(dhl: httpx.AsyncClient, date: str) -> None:
    await dhl.post("/shipments", json=a_parcel())
    asked = by_reference("S-1")
    del asked[date]

    answer = await dhl.get("/tracking", params=asked)

    assert answer.status_code == 400
    assert date in answer.json()["additionalDetails"][0]


async def test_a_search_by_reference_finds_nothing_of_other_days(dhl: httpx.AsyncClient) -> None:
    await dhl.post("/shipments", json=a_parcel())

    assert (await dhl.get("/tracking", params=by_reference("S-1", days_ago=10))).status_code == 404


async def test_a_waybill_whose_answer_never_comes_is_found_by_its_reference(dhl: httpx.AsyncClient) -> None:
    lost = asyncio.create_task(dhl.post("/shipments", json=a_parcel(postal_code="00408")))

    async def is_made() -> bool:
        return (await dhl.get("/tracking", params=by_reference("S-1"))).is_success

    await until(is_made)
    found = await dhl.get("/tracking", params=by_reference("S-1"))

    assert not lost.done()
    assert len(found.json()["shipments"]) == 1
    await lost


async def test_a_server_error_comes_once_for_each_reference_and_makes_nothing(dhl: httpx.AsyncClient) -> None:
    failed = await dhl.post("/shipments", json=a_parcel(postal_code="00500"))
    found = await dhl.get("/tracking", params=by_reference("S-1"))
    again = await dhl.post("/shipments", json=a_parcel(postal_code="00500"))

    assert (failed.status_code, found.status_code, again.status_code) == (500, 404, 201)


async def test_a_refused_address_is_refused_every_time(dhl: httpx.AsyncClient) -> None:
    for _ in range(2):
        answer = await dhl.post("/shipments", json=a_parcel(postal_code="00422"))
        assert answer.status_code == 422
        assert "postalCode" in answer.json()["additionalDetails"][0]


async def test_all_that_is_wrong_is_listed_at_once(dhl: httpx.AsyncClient) -> None:
    parcel = a_parcel()
    del parcel["productCode"]
    parcel["customerDetails"]["receiverDetails"]["postalAddress"]["countryCode"] = "China"
    answer = await dhl.post("/shipments", json=parcel)

    assert (answer.status_code, answer.json()["title"]) == (400, "Bad request")
    places = {detail.split(":")[0] for detail in answer.json()["additionalDetails"]}
    assert places == {"#/productCode", "#/customerDetails/receiverDetails/postalAddress/countryCode"}


async def test_another_shippers_account_is_refused(dhl: httpx.AsyncClient) -> None:
    parcel = a_parcel() | {"accounts": [{"typeCode": "shipper", "number": "1"}]}

    assert (await dhl.post("/shipments", json=parcel)).status_code == 400


async def test_a_label_cannot_be_voided(dhl: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
    number = (await dhl.post("/shipments", json=a_parcel())).json()["shipmentTrackingNumber"]

    assert (await dhl.delete(f"/shipments/{number}")).status_code == 404
    assert len((await dhl.get("/tracking", params=by_reference("S-1"))).json()["shipments"]) == 1
    assert (await control.get("/sandbox/ledger")).json()["shipments"] == [{"reference": "S-1", "tracking_number": number}]


async def test_the_tracking_tells_events_by_their_codes(dhl: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
    number = (await dhl.post("/shipments", json=a_parcel())).json()["shipmentTrackingNumber"]
    for status in ("pre-transit", "transit", "failure", "delivered"):
        await control.post(f"/sandbox/shipments/{number}/scan", json={"status": status})

    [shipment] = (await dhl.get("/tracking", params={"shipmentTrackingNumber": number})).json()["shipments"]

    assert [event["typeCode"] for event in shipment["events"]] == ["SD", "DF", "NH", "OK"]
    assert {event["GMTOffset"] for event in shipment["events"]} == {"+00:00"}


async def test_a_scan_is_told_by_signed_webhook_and_shown_in_tracking(
    dhl: httpx.AsyncClient, control: httpx.AsyncClient, next_webhook: NextWebhook
) -> None:
    number = (await dhl.post("/shipments", json=a_parcel())).json()["shipmentTrackingNumber"]
    scanned = await control.post(f"/sandbox/shipments/{number}/scan", json={"status": "delivered"})
    webhook = await next_webhook()

    headers = webhook.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + webhook.content
    expected = base64.b64encode(hmac.new(b"secret-of-dhl", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"

    assert scanned.status_code == 202
    body = httpx.Response(200, content=webhook.content).json()
    assert body == scanned.json()["webhook"]
    assert (body["shipments"][0]["id"], body["shipments"][0]["status"]["statusCode"]) == (number, "delivered")
    tracked = (await dhl.get("/tracking", params={"shipmentTrackingNumber": number})).json()
    assert [event["typeCode"] for event in tracked["shipments"][0]["events"]] == ["OK"]


async def test_parcels_of_our_own_fleet_can_be_scanned(control: httpx.AsyncClient, next_webhook: NextWebhook) -> None:
    await control.post("/sandbox/shipments/OB000000001/scan", json={"status": "transit"})

    assert b"OB000000001" in (await next_webhook()).content


@pytest.mark.parametrize("auth", [("apUser", "wrong"), ("wrong", "dhl-password"), ("apUser:", "")])
async def test_wrong_credentials_are_turned_away(dhl: httpx.AsyncClient, auth: tuple[str, str]) -> None:
    assert (await dhl.post("/shipments", json=a_parcel(), auth=auth)).status_code == 401
