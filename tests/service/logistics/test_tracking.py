"""Scans of parcels, by webhook."""

import base64
import hmac
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import uuid4

import orjson

from services.logistics import jobs
from services.logistics.settings import settings
from shared.database import Database
from shared.events.orders import OrderReleased
from shared.events.shipments import (
    ShipmentCreated,
    ShipmentDelivered,
    ShipmentFailed,
    ShipmentInTransit,
    TrackingPushed,
)
from tests.service.house import Bus, Client
from tests.service.logistics.parcels import an_order_abroad, an_order_at_home, at_dhl, becomes, of_order, paid

NOW = datetime.now(UTC)


def a_scan(waybill: str, status: str, at: datetime = NOW, description: str = "") -> bytes:
    told = {"timestamp": at.isoformat(), "statusCode": status, "description": description}
    return orjson.dumps({"shipments": [{"id": waybill, "status": told}]})


def signed(body: bytes, id: str | None = None, sent: int | None = None) -> dict[str, str]:
    [secret] = [settings().dhl_webhook_secret]
    assert secret is not None
    id, sent = id or f"msg_{uuid4().hex}", sent or int(time.time())
    key = base64.b64decode(secret.get_secret_value().removeprefix("whsec_"))
    signature = base64.b64encode(hmac.new(key, f"{id}.{sent}.".encode() + body, sha256).digest()).decode()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(sent),
        "webhook-signature": f"v1,{signature}",
    }


async def post(logistics: Client, body: bytes, headers: dict[str, str] | None = None) -> int:
    answer = await logistics.post("/api/webhooks/dhl", content=body, headers=headers or signed(body))
    return answer.status_code


async def a_shipped_order(bus: Bus, order_id: str) -> str:
    """Its waybill."""
    await paid(bus, an_order_at_home(order_id))
    await bus.expect(TrackingPushed, order_id=order_id)
    return (await bus.expect(ShipmentCreated, order_id=order_id)).waybill


async def test_a_parcel_is_followed_to_the_door(bus: Bus, logistics: Client, sandbox: Client, order_id: str) -> None:
    waybill = await a_shipped_order(bus, order_id)

    await sandbox.post(f"/sandbox/shipments/{waybill}/scan", json={"status": "transit"})
    await bus.expect(ShipmentInTransit, order_id=order_id)
    assert (await of_order(logistics, order_id))["state"] == "in_transit"
    await sandbox.post(f"/sandbox/shipments/{waybill}/scan", json={"status": "delivered"})

    delivered = await bus.expect(ShipmentDelivered, order_id=order_id)
    shipment = await of_order(logistics, order_id)
    assert shipment["state"] == "delivered"
    assert datetime.fromisoformat(shipment["delivered_at"]) == delivered.at


async def test_scans_heard_backwards_and_twice_end_delivered_and_each_is_said_once(
    bus: Bus, logistics: Client, order_id: str
) -> None:
    waybill = await a_shipped_order(bus, order_id)

    for minutes, status in ((30, "delivered"), (20, "failure"), (10, "transit"), (30, "delivered"), (10, "transit")):
        assert await post(logistics, a_scan(waybill, status, NOW + timedelta(minutes=minutes))) == 200

    await bus.expect(ShipmentInTransit, order_id=order_id)
    assert (await of_order(logistics, order_id))["state"] == "delivered"
    assert len(bus.all(ShipmentInTransit, order_id=order_id)) == 1
    assert len(bus.all(ShipmentDelivered, order_id=order_id)) == 1
    assert not bus.all(ShipmentFailed, order_id=order_id)


async def test_a_later_delivery_is_said_too_so_that_whatever_came_first_the_last_counts(
    bus: Bus, logistics: Client, order_id: str
) -> None:
    forwards, backwards = await a_shipped_order(bus, f"{order_id}.1"), await a_shipped_order(bus, f"{order_id}.2")
    early, late = NOW + timedelta(minutes=10), NOW + timedelta(minutes=30)

    for waybill, at in ((forwards, early), (forwards, late), (backwards, late), (backwards, early)):
        assert await post(logistics, a_scan(waybill, "delivered", at)) == 200

    assert (await bus.expect(ShipmentDelivered, order_id=f"{order_id}.1", count=2)).at == late
    assert [said.at for said in bus.all(ShipmentDelivered, order_id=f"{order_id}.2")] == [late]


async def test_a_failed_delivery_says_why_and_after_a_release_may_fail_again(bus: Bus, logistics: Client, order_id: str) -> None:
    waybill = await a_shipped_order(bus, order_id)
    await post(logistics, a_scan(waybill, "failure", datetime.now(UTC), "recipient not home"))
    failed = await bus.expect(ShipmentFailed, order_id=order_id)
    assert failed.reason == "recipient not home"

    async def goes_on() -> bool:
        return bool((await of_order(logistics, order_id))["state"] == "in_transit")

    await bus.publish(OrderReleased(order_id=order_id, released_by="a clerk"))
    await becomes(goes_on)
    await post(logistics, a_scan(waybill, "failure", datetime.now(UTC), "no such house"))

    assert (await bus.expect(ShipmentFailed, order_id=order_id, count=2)).reason == "no such house"
    assert (await of_order(logistics, order_id))["waybill"] == waybill


async def test_a_webhook_that_is_sent_again_is_taken_once(bus: Bus, logistics: Client, order_id: str) -> None:
    waybill = await a_shipped_order(bus, order_id)
    body = a_scan(waybill, "transit")
    headers = signed(body)

    answers = [await logistics.post("/api/webhooks/dhl", content=body, headers=headers) for _ in range(2)]

    assert [answer.json() for answer in answers] == [{"scans": 1}, {"scans": 0}]
    await bus.expect(ShipmentInTransit, order_id=order_id)
    assert len(bus.all(ShipmentInTransit, order_id=order_id)) == 1


async def test_a_webhook_that_is_not_signed_rightly_or_is_old_changes_nothing(bus: Bus, logistics: Client, order_id: str) -> None:
    waybill = await a_shipped_order(bus, order_id)
    body, other = a_scan(waybill, "delivered"), a_scan(waybill, "failure")

    assert await post(logistics, body, {"webhook-id": "msg_1"}) == 401
    assert await post(logistics, body, signed(other)) == 401
    assert await post(logistics, body, signed(body, sent=int(time.time()) - 301)) == 401
    assert await post(logistics, b"{", signed(b"{")) == 422

    assert (await of_order(logistics, order_id))["state"] == "booked"


async def test_dhls_own_push_comes_with_the_token_of_the_subscription_and_is_taken_once(
    bus: Bus, logistics: Client, order_id: str
) -> None:
    waybill = await a_shipped_order(bus, order_id)
    body = a_scan(waybill, "transit")

    for token in settings().webhook_tokens:
        answer = await logistics.post("/api/webhooks/dhl", content=body, headers={"webhook-token": token.decode()})
        assert answer.status_code == 200

    assert answer.json() == {"scans": 0}
    await bus.expect(ShipmentInTransit, order_id=order_id)
    assert len(bus.all(ShipmentInTransit, order_id=order_id)) == 1


async def test_a_parcel_that_cannot_be_read_keeps_back_none_of_the_others(bus: Bus, logistics: Client, order_id: str) -> None:
    waybill = await a_shipped_order(bus, order_id)
    body = a_scan(waybill, "transit").replace(b"[{", b'[{"id":"1","status":{"statusCode":"transit","timestamp":null}},{')

    answer = await logistics.post("/api/webhooks/dhl", content=body, headers=signed(body))

    assert (answer.status_code, answer.json()) == (200, {"scans": 1})
    await bus.expect(ShipmentInTransit, order_id=order_id)


async def test_a_scanner_whose_clock_is_wrong_delivers_nothing(bus: Bus, logistics: Client, order_id: str) -> None:
    waybill = await a_shipped_order(bus, order_id)

    for year in (1970, 9999):
        assert await post(logistics, a_scan(waybill, "delivered", datetime(year, 1, 1, tzinfo=UTC))) == 422

    assert (await of_order(logistics, order_id))["state"] == "booked"


async def test_a_wrong_token_changes_nothing_and_a_signature_beside_it_does_not_help(
    bus: Bus, logistics: Client, order_id: str
) -> None:
    waybill = await a_shipped_order(bus, order_id)
    body = a_scan(waybill, "delivered")

    for token in ("", "x" * 32):
        assert await post(logistics, body, {"webhook-token": token}) == 401
        assert await post(logistics, body, {"webhook-token": token, **signed(body)}) == 401

    assert (await of_order(logistics, order_id))["state"] == "booked"


async def test_what_dhl_tells_of_the_subscription_is_taken(logistics: Client) -> None:
    body = orjson.dumps({"scope": "subscription.validate", "secret": "-"})
    token = settings().webhook_tokens[0].decode()

    answer = await logistics.post("/api/webhooks/dhl", content=body, headers={"webhook-token": token})

    assert (answer.status_code, answer.json()) == (200, {"scans": 0})


async def test_a_scan_that_comes_before_the_booking_is_answered_is_not_lost(
    bus: Bus, logistics: Client, sandbox: Client, order_id: str
) -> None:
    async def dhl_has_made_it() -> bool:
        shipments = (await logistics.get("/api/shipments", params={"order_id": order_id})).json()["shipments"]
        return bool(shipments and await at_dhl(sandbox, shipments[0]["shipment_id"]))

    await paid(bus, an_order_abroad(order_id, postcode="00408"))
    await becomes(dhl_has_made_it)
    shipment = await of_order(logistics, order_id)
    [waybill] = await at_dhl(sandbox, shipment["shipment_id"])
    assert shipment["waybill"] is None

    assert await post(logistics, a_scan(waybill["tracking_number"], "transit")) == 200

    await bus.expect(ShipmentInTransit, order_id=order_id)
    assert (await bus.expect(ShipmentCreated, order_id=order_id)).waybill == waybill["tracking_number"]


async def test_a_scan_of_a_number_that_is_not_ours_is_taken(logistics: Client) -> None:
    assert await post(logistics, a_scan(f"JD{uuid4().hex[:18]}", "transit")) == 200


async def test_a_scan_is_given_to_a_parcel_that_becomes_known_long_after_it(
    bus: Bus, logistics: Client, database: Database, order_id: str
) -> None:
    waybill = await a_shipped_order(bus, order_id)
    await database.pool.execute(
        "INSERT INTO scan (waybill, at, status, description, received_at) SELECT $1, now(), 'transit', '', now() - $2::interval",
        waybill,
        jobs.LATELY + timedelta(minutes=1),
    )

    async with database.transaction() as tx:
        assert await jobs.match_early_scans(tx) == 0
    async with database.transaction() as tx:
        assert await jobs.match_very_early_scans(tx) == 1

    assert (await of_order(logistics, order_id))["state"] == "in_transit"


async def test_scans_of_numbers_that_nobody_knows_are_forgotten_after_thirty_days(
    bus: Bus, logistics: Client, database: Database, order_id: str
) -> None:
    waybill = await a_shipped_order(bus, order_id)
    kept, old = f"JD{uuid4().hex[:18]}", f"JD{uuid4().hex[:18]}"
    for number in (waybill, kept, old):
        await post(logistics, a_scan(number, "transit"))
    await database.pool.execute(
        "UPDATE scan SET received_at = now() - $1::interval WHERE waybill = any($2)",
        jobs.UNKNOWN_SCANS_KEPT + timedelta(minutes=1),
        [waybill, old],
    )

    async with database.transaction() as tx:
        assert await jobs.forget_unknown_scans(tx) == 1

    left = await database.pool.fetch("SELECT waybill FROM scan WHERE waybill = any($1)", [waybill, kept, old])
    assert {row["waybill"] for row in left} == {waybill, kept}
