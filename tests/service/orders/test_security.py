"""What a shop's token must not do, and what nobody may send."""

from typing import Any

import asyncpg
import pytest

from services.orders.settings import settings
from shared import bounds
from shared.events.orders import OrderPlaced
from tests.builders import a_paid_order
from tests.service.house import Bus, Client, House
from tests.service.orders.asking import a_wish, sell
from tests.service.tokens import bearing

A_SHOPS = ("orders:read", "orders:write", "orders:refund", "events:publish")
CARD = "4111 1111 1111 1111"


def of_shop(name: str, *more: str) -> dict[str, str]:
    """A token such as a shop gets: it places, reads, cancels and refunds its own orders, and publishes its events."""
    return bearing(settings(), *A_SHOPS, *more, sub=name, source=f"/shops/{name}", publishes="order.paid")


@pytest.fixture
async def theirs(bus: Bus, orders: Client, sku: str) -> str:
    """An order of another shop."""
    await sell(bus, orders, sku)
    answer = await orders.post("/api/orders", json=a_wish(sku), headers=of_shop("theirs"))
    return str(answer.json()["order_id"])


async def test_an_order_belongs_to_the_shop_that_places_it(bus: Bus, orders: Client, theirs: str) -> None:
    order = (await orders.get(f"/api/orders/{theirs}", headers=of_shop("theirs"))).json()

    assert order["source"] == "/shops/theirs"
    assert (await bus.expect(OrderPlaced, order_id=theirs)).source == "/shops/theirs"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/timeline"), ("POST", "/cancel"), ("POST", "/refunds"), ("POST", "/release")],
)
async def test_another_shops_order_is_not_there(orders: Client, theirs: str, method: str, path: str) -> None:
    mine = of_shop("mine", "orders:release")

    answer = await orders.request(method, f"/api/orders/{theirs}{path}", headers=mine)
    unknown = await orders.request(method, f"/api/orders/nobody{path}", headers=mine)

    assert answer.status_code == unknown.status_code == 404
    assert answer.json()["detail"] == unknown.json()["detail"].replace("nobody", theirs)
    assert (await orders.get(f"/api/orders/{theirs}")).json()["status"] == "placed"


async def test_what_is_answered_is_kept_nowhere_and_taken_for_nothing_else(orders: Client, theirs: str) -> None:
    for path in (f"/api/orders/{theirs}", "/api/orders", f"/api/orders/{theirs}/timeline", "/api/orders/nobody", "/nothing"):
        headers = (await orders.get(path)).headers
        assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff"), path


async def test_a_timeline_is_as_long_as_a_long_one_whatever_other_shops_say_of_its_order(
    orders: Client, theirs: str, house: House
) -> None:
    """Thirty thousand times another shop's word of it were seven megabytes, and half a second in which nobody was answered."""
    connection = await asyncpg.connect(house.database_url)
    await connection.execute(
        """
        INSERT INTO orders.timeline (order_id, at, event_id, type, source, note)
        SELECT $1, now() - interval '1 day', gen_random_uuid(), type, source, ''
          FROM generate_series(1, 1100),
               (VALUES ('order.paid', '/shops/mine'), ('order.rejected', '/orderbus/orders')) said (type, source)
        """,
        theirs,
    )
    await connection.close()

    events = (await orders.get(f"/api/orders/{theirs}/timeline", headers=of_shop("theirs"))).json()["events"]

    assert len(events) == 1000
    assert events[-1]["event"] == "order.placed"


async def test_its_own_order_it_reads_and_cancels(orders: Client, theirs: str) -> None:
    for path in ("", "/timeline"):
        assert (await orders.get(f"/api/orders/{theirs}{path}", headers=of_shop("theirs"))).status_code == 200
    assert (await orders.post(f"/api/orders/{theirs}/cancel", headers=of_shop("theirs"))).json()["status"] == "cancelled"


async def test_a_shop_lists_its_own_orders_only(orders: Client, theirs: str, sku: str) -> None:
    mine = (await orders.post("/api/orders", json=a_wish(sku), headers=of_shop(sku))).json()["order_id"]

    for wanted in ({}, {"status": "placed"}):
        listed = (await orders.get("/api/orders", params=wanted, headers=of_shop(sku))).json()
        assert [order["order_id"] for order in listed["orders"]] == [mine]
        everybodys = (await orders.get("/api/orders", params={"page_size": 100, **wanted})).json()["orders"]
        assert {mine, theirs} <= {order["order_id"] for order in everybodys}


async def test_a_shops_list_is_read_from_an_index(house: House) -> None:
    connection = await asyncpg.connect(house.database_url)
    await connection.execute("SET search_path = orders; SET enable_seqscan = off; SET enable_bitmapscan = off")
    plan = await connection.fetch(
        "EXPLAIN SELECT id FROM orders WHERE placed IS NOT NULL AND source = 'a' ORDER BY placed_at DESC, id LIMIT 20"
    )
    await connection.close()
    assert any("orders_by_source" in row[0] for row in plan), plan


async def test_passing_a_held_order_and_giving_money_back_need_their_own_scopes(orders: Client, theirs: str) -> None:
    placing_only = bearing(settings(), "orders:read", "orders:write", sub="till", source="/shops/theirs")

    for path, scope in (("release", "orders:release"), ("refunds", "orders:refund")):
        answer = await orders.post(f"/api/orders/{theirs}/{path}", headers=placing_only)
        assert (answer.status_code, answer.json()["scope"]) == (403, scope)
    assert (await orders.post(f"/api/orders/{theirs}/release", headers=of_shop("theirs"))).status_code == 403


async def test_a_shop_publishes_under_its_own_source_only_and_what_its_token_says(orders: Client, order_id: str) -> None:
    def event(source: str, type: str = "order.paid") -> dict[str, Any]:
        data = a_paid_order(order_id=order_id).model_dump(mode="json", exclude_none=True)
        return {"specversion": "1.0", "id": order_id, "source": source, "type": type, "data": data}

    for source, type, expected in (
        ("/shops/theirs", "order.paid", 403),
        ("/orderbus/orders", "order.paid", 403),
        ("/shops/mine", "order.completed", 422),
        ("/shops/mine", "order.submitted", 403),  # its token does not say so
        ("/shops/mine", "order.paid", 202),
    ):
        answer = await orders.post(
            "/api/events",
            json=event(source, type),
            headers=of_shop("mine") | {"content-type": "application/cloudevents+json"},
        )
        assert answer.status_code == expected, answer.text
        assert answer.json().get("type", "about:blank") == "about:blank"  # of the problem, and not of the event


async def test_a_shops_idempotency_key_is_its_own(orders: Client, theirs: str, sku: str) -> None:
    first, second = [
        await orders.post("/api/orders", json=a_wish(sku), headers=of_shop(name) | {"idempotency-key": sku})
        for name in ("theirs", "mine")
    ]

    assert first.json()["order_id"] != second.json()["order_id"]


async def test_what_one_shop_was_answered_is_not_anothers_of_the_same_subject(orders: Client, theirs: str, sku: str) -> None:
    """A connector that has a token of each of its shops, and both shops number their orders from 1."""
    first, again, other = [
        await orders.post(
            "/api/orders",
            json=a_wish(sku),
            headers=bearing(settings(), *A_SHOPS, sub="connector", source=f"/shops/{name}") | {"idempotency-key": sku},
        )
        for name in ("theirs", "theirs", "mine")
    ]

    assert (first.status_code, again.json()) == (201, first.json())
    assert other.status_code == 422, other.text
    assert first.json()["order_id"] not in other.text


@pytest.mark.parametrize(
    "change",
    [
        {"payment": {"channel": "card", "token": "4111111111111111"}},
        {"payment": {"channel": "card", "number": CARD}},
        {"customer": {"name": f"李雷 {CARD}"}},
        {"ship_to": {"name": "李雷", "country": "CN", "city": "杭州市", "line1": "卡号 4111-1111-1111-1111"}},
        {"note": "\uff14\uff11\uff11\uff11111111111111"},
        {"card": 4111111111111111},
    ],
)
async def test_a_card_number_is_refused_and_not_repeated(
    orders: Client, sku: str, change: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    answer = await orders.post("/api/orders", json=a_wish(sku, **change))

    assert (answer.status_code, answer.json().get("reason")) == (422, "card_number")
    said = answer.text + "".join(capfd.readouterr())
    assert "1111" not in said


async def test_a_card_number_does_not_come_in_as_an_event(house: House, orders: Client, order_id: str) -> None:
    data = a_paid_order(order_id=order_id).model_dump(mode="json") | {"memo": "4111111111111111"}
    event = {"specversion": "1.0", "id": order_id, "source": "/shops/mine", "type": "order.paid", "data": data}

    for body, kind in (
        (event, "application/cloudevents+json"),
        ([event], "application/cloudevents-batch+json"),
    ):
        answer = await orders.post("/api/events", json=body, headers=of_shop("mine") | {"content-type": kind})
        assert (answer.status_code, answer.json().get("reason")) == (422, "card_number")

    connection = await asyncpg.connect(house.database_url)
    assert await connection.fetchval("SELECT count(*) FROM orders.idempotency_key WHERE body::text LIKE '%4111%'") == 0
    await connection.close()


async def test_a_body_that_would_cost_much_to_read_is_refused(orders: Client) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    wide = b"[" + b"1," * bounds.MAX_ITEMS + b"1]"
    long = b'{"customer": "' + b"x" * bounds.MAX_BODY + b'"}'

    for body, expected in ((deep, 422), (wide, 413), (long, 413)):
        for path, kind in (("/api/orders", "application/json"), ("/api/events", "application/cloudevents-batch+json")):
            answer = await orders.post(path, content=body, headers={"content-type": kind})
            assert answer.status_code == expected, answer.text
            assert answer.headers["content-type"] == "application/problem+json"


async def test_without_a_token_a_body_is_not_even_read(orders: Client) -> None:
    async def endless() -> Any:
        for _ in range(200):
            yield b"x" * 65_536

    orders.headers.pop("authorization")
    answer = await orders.post("/api/orders", content=endless())

    assert answer.status_code == 401


async def test_a_query_and_an_idempotency_key_have_their_bounds(orders: Client, sku: str) -> None:
    assert (await orders.get("/api/orders", params={"x": "x" * 5000})).status_code == 414
    for key in ("", "x" * 256):
        answer = await orders.post("/api/orders/nobody/cancel", headers={"idempotency-key": key})
        assert answer.status_code == 422
    assert (await orders.get("/api/orders", params={"page": 10_001})).status_code == 422
    assert (await orders.get(f"/api/orders/{'x' * 65}")).status_code == 422
