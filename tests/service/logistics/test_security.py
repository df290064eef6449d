"""What logistics refuses, and what stays out of its books."""

from uuid import uuid4

import asyncpg

from services.logistics.settings import settings
from tests.service.house import Client, House
from tests.service.logistics.test_tracking import a_scan, post, signed
from tests.service.tokens import bearing


async def test_a_shops_token_reads_no_shipments_unless_it_is_an_operators(logistics: Client, order_id: str) -> None:
    for path in (f"/api/shipments?order_id={order_id}", f"/api/shipments/{uuid4()}"):
        mine = bearing(settings(), "shipments:read", source="/shops/mine")
        assert (await logistics.get(path, headers=mine)).status_code == 403
        operators = bearing(settings(), "shipments:read", "ops:read", source="/shops/mine")
        assert (await logistics.get(path, headers=operators)).status_code in (200, 404)


async def test_a_card_number_in_a_carriers_words_is_not_kept(house: House, logistics: Client) -> None:
    waybill = f"JD{uuid4().hex[:18]}"

    assert await post(logistics, a_scan(waybill, "failure", description="paid at the door with 4111 1111 1111 1111")) == 200

    connection = await asyncpg.connect(house.database_url)
    kept = await connection.fetch("SELECT s::text FROM logistics.scan s WHERE s::text LIKE '%' || $1 || '%'", waybill)
    await connection.close()
    assert len(kept) == 1
    assert "4111" not in kept[0][0]


async def test_a_long_number_of_a_parcel_is_not_taken_for_a_card(logistics: Client) -> None:
    body = a_scan("4111111111111111", "transit")

    assert await post(logistics, body, signed(body)) == 200
