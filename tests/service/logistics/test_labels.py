"""The label that a parcel cannot be sent without."""

from datetime import timedelta
from uuid import uuid4

import asyncpg

from services.logistics import jobs
from services.logistics.settings import settings
from shared.database import Tx
from shared.events.orders import OrderCancelled
from shared.events.shipments import ShipmentCancelled, ShipmentCreated
from shared.telemetry import now
from tests.service.house import Bus, Client, House
from tests.service.logistics.parcels import an_order_abroad, an_order_at_home, paid
from tests.service.tokens import bearing


async def test_dhls_label_is_kept_to_be_printed(bus: Bus, logistics: Client, order_id: str) -> None:
    await paid(bus, an_order_abroad(order_id))
    created = await bus.expect(ShipmentCreated, order_id=order_id)

    answer = await logistics.get(f"/api/shipments/{created.shipment_id}/label")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert answer.content.startswith(b"%PDF-")
    assert created.waybill.encode() in answer.content


async def test_where_there_is_no_label_it_is_said_why(bus: Bus, logistics: Client, order_id: str) -> None:
    async def why(shipment_id: str) -> str:
        answer = await logistics.get(f"/api/shipments/{shipment_id}/label")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        return str(answer.json()["detail"])

    await paid(bus, an_order_at_home(order_id), an_order_abroad(f"{order_id}.lost", postcode="00408"))
    ours = await bus.expect(ShipmentCreated, order_id=order_id)
    lost = await bus.expect(ShipmentCreated, order_id=f"{order_id}.lost", timeout=20)
    nobody = uuid4()

    assert await why(ours.shipment_id) == f"no label of {ours.waybill} is here: own_fleet gave none, or over 30 days ago"
    assert await why(lost.shipment_id) == f"no label of {lost.waybill} is here: dhl gave none, or over 30 days ago"
    assert await why(str(nobody)) == f"there is no shipment {nobody}"


async def test_the_label_of_a_cancelled_parcel_is_not_given(bus: Bus, logistics: Client, order_id: str) -> None:
    await paid(bus, an_order_abroad(order_id))
    created = await bus.expect(ShipmentCreated, order_id=order_id)
    await bus.publish(OrderCancelled(order_id=order_id, reason="changed_mind"))
    await bus.expect(ShipmentCancelled, order_id=order_id)

    answer = await logistics.get(f"/api/shipments/{created.shipment_id}/label")

    assert answer.status_code == 404
    assert "must not be used" in answer.json()["detail"]


async def test_a_label_wants_the_token_that_a_shipment_wants(logistics: Client) -> None:
    path = f"/api/shipments/{uuid4()}/label"

    assert (await logistics.get(path, headers={"authorization": ""})).status_code == 401
    assert (await logistics.get(path, headers=bearing(settings(), "orders:read"))).status_code == 403
    mine = bearing(settings(), "shipments:read", source="/shops/mine")
    assert (await logistics.get(path, headers=mine)).status_code == 403


async def test_a_label_is_forgotten_after_thirty_days(bus: Bus, house: House, logistics: Client, order_id: str) -> None:
    await paid(bus, an_order_abroad(order_id), an_order_abroad(f"{order_id}.old"))
    kept = await bus.expect(ShipmentCreated, order_id=order_id)
    old = await bus.expect(ShipmentCreated, order_id=f"{order_id}.old")
    connection = await asyncpg.connect(house.database_url)
    await connection.execute("SET search_path TO logistics")
    await connection.execute(
        "UPDATE label SET kept_at = $1 WHERE shipment_id = $2", now() - jobs.LABELS_KEPT - timedelta(minutes=1), old.shipment_id
    )

    assert await jobs.forget_old_labels(Tx(connection, "logistics", now())) == 1
    await connection.close()

    assert (await logistics.get(f"/api/shipments/{old.shipment_id}/label")).status_code == 404
    assert (await logistics.get(f"/api/shipments/{kept.shipment_id}/label")).status_code == 200
