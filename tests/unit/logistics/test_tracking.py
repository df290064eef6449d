"""Reading tracking notifications."""

import time
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from services.logistics import tracking
from services.logistics.shipping import State
from services.logistics.tracking import Scan, scanned
from tests.unit.logistics.parcels import NOON, a_booked_shipment, a_scan


def a_notification(code: str = "transit", at: str = "2026-11-24T12:00:00Z", id: str = "1234567890") -> bytes:
    status = f'{{"timestamp":"{at}","statusCode":"{code}","description":"Departed"}}'
    return f'{{"shipments":[{{"id":"{id}","service":"express","status":{status}}}]}}'.encode()


def read(body: bytes) -> list[Scan]:
    """The scans of a notification in which everything can be read."""
    told = tracking.read(body, NOON)
    assert told.unreadable == []
    return told.scans


def test_a_notification_tells_of_a_scan() -> None:
    assert read(a_notification()) == [a_scan("transit", 0, "Departed")]


@pytest.fixture(params=["UTC", "Asia/Shanghai"])
def machine_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wherever the machine stands."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("machine_in")
@pytest.mark.parametrize("same", ["2026-11-24T20:00:00+08:00", "2026-11-24T12:00:00"])
def test_a_scans_time_is_utc_and_so_is_one_without_an_offset(same: str) -> None:
    assert read(a_notification(at=same))[0].at == NOON


def test_statuses_we_do_not_act_upon_are_passed_over() -> None:
    assert read(a_notification("pre-transit")) == []
    assert read(a_notification("unknown")) == []


def test_a_carriers_words_are_kept_in_a_line() -> None:
    (scan,) = read(a_notification().replace(b"Departed", b"Departed\\u0000 from\\nLeipzig" + b"!" * 600))

    assert scan.description.startswith("Departed from Leipzig!")
    assert len(scan.description) == 500


def test_a_carrier_may_say_nothing() -> None:
    assert read(a_notification().replace(b'"Departed"', b"null")) == [a_scan("transit", 0)]


def test_a_scan_may_come_months_late_or_in_the_carriers_local_time() -> None:
    assert read(a_notification(at="2026-02-01T00:00:00Z"))
    assert read(a_notification(at="2026-11-25T02:00:00"))


def test_a_parcel_that_cannot_be_read_keeps_back_none_of_the_others() -> None:
    body = a_notification().replace(b"[{", b'[{"id":"1"},{').replace(b"}]", b'},{"id":"2","status":{"statusCode":"transit"}}]')

    told = tracking.read(body, NOON)

    assert told.scans == [a_scan("transit", 0, "Departed")]
    assert [error.errors()[0]["loc"] for error in told.unreadable] == [("status",), ("status", "timestamp")]


@pytest.mark.parametrize("scope", ["subscription.validate", "subscription.failure"])
def test_what_is_about_the_subscription_tells_of_no_scan(scope: str) -> None:
    assert read(f'{{"scope":"{scope}","secret":"-","self":"https://api-eu.dhl.com/-"}}'.encode()) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"scope":null}',
        b'{"scope":"subscription.push","shipments":[{}]}',
        b'{"shipments":[{"id":""}]}',
        b'{"shipments":[{"id":"1","status":{}}]}',
        a_notification(id="a\\u0000"),
        a_notification(at="0001-01-01T00:00:00+14:00"),
        a_notification(at="9999-12-31T23:59:59-14:00"),
        a_notification(at="1970-01-01T00:00:00Z"),
        a_notification(at="2026-11-26T12:00:00Z"),
    ],
)
def test_what_is_no_notification_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationError):
        read(body)


def test_the_first_scan_on_its_way_counts_and_the_last_failure_says_why() -> None:
    scans = [a_scan("transit", 2), a_scan("transit", 1), a_scan("failure", 9, "refused"), a_scan("failure", 5, "not home")]

    shipment = scanned(a_booked_shipment(), scans)

    assert shipment.in_transit_at == a_scan("transit", 1).at
    assert (shipment.state, shipment.why_failed) == (State.FAILED, "refused")


def test_a_failure_of_which_the_carrier_says_nothing_more_has_a_reason_all_the_same() -> None:
    assert scanned(a_booked_shipment(), [a_scan("failure", 5)]).why_failed == "the carrier could not hand the parcel over"


def test_two_failures_of_the_same_moment_have_one_reason_whichever_is_heard_first() -> None:
    scans = [a_scan("failure", 5, "refused"), a_scan("failure", 5, "not home")]

    assert scanned(a_booked_shipment(), scans) == scanned(a_booked_shipment(), scans[::-1])


def test_a_delivery_and_a_failure_of_the_same_moment_are_a_delivery() -> None:
    assert scanned(a_booked_shipment(), [a_scan("failure", 5), a_scan("delivered", 5)]).state is State.DELIVERED


def test_the_last_delivery_counts_when_there_are_several() -> None:
    scans = [a_scan("delivered", 30), a_scan("failure", 20), a_scan("delivered", 10)]

    for heard in (scans, scans[::-1]):
        assert scanned(a_booked_shipment(), heard).state is State.DELIVERED
