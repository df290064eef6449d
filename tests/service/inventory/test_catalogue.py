"""The catalogue over HTTP, and what is announced of it."""

from typing import Any, Literal
from unicodedata import normalize
from uuid import uuid4

import asyncpg
import httpx
import pytest

from services.inventory import views
from shared.events.products import ProductChanged, ProductCreated, ProductDeleted
from shared.money import Money
from tests.plain_http import PLAIN
from tests.service.house import Bus, Client, House


def a_product(sku: str, **fields: Any) -> dict[str, Any]:
    """Headphones at 299 CNY, unless said."""
    return {"sku": sku, "name": "降噪无线耳机", "price": 299, "currency": "CNY"} | fields


async def created(inventory: Client, sku: str, **fields: Any) -> dict[str, Any]:
    response = await inventory.post("/api/products", json=a_product(sku, **fields))
    assert response.status_code == 201, response.text
    product: dict[str, Any] = response.json()
    return product


async def found(inventory: Client, keyword: str, **more: Any) -> list[str]:
    response = await inventory.get("/api/products", params={"keyword": keyword, **more})
    return [product["sku"] for product in response.json()["products"]]


def a_stranger_to(inventory: Client) -> Client:
    """Somebody without a token."""
    return httpx.AsyncClient(base_url=inventory.base_url, verify=PLAIN, trust_env=False)


async def test_a_shopper_finds_a_product_with_its_price_and_stock_without_a_token(inventory: Client, sku: str) -> None:
    name = f"降噪无线耳机 {sku}"
    await inventory.post("/api/products", json=a_product(sku, id=1001, name=name, stock=150))

    async with a_stranger_to(inventory) as shopper:
        answer = await shopper.get("/api/products", params={"keyword": name, "page": 1})

    product = {"id": 1001, "sku": sku, "name": name, "price": 299, "currency": "CNY", "stock": 150}
    assert answer.json() == {"products": [product], "page": 1, "page_size": 20, "total": 1}
    assert '"price":299,' in answer.text


async def test_a_created_product_is_announced_and_can_be_read(bus: Bus, inventory: Client, sku: str) -> None:
    response = await inventory.post("/api/products", json=a_product(sku, price=299.5, category="audio", tags=["a", "b", "a"]))

    product = response.json()
    announced = await bus.expect(ProductCreated, sku=sku)
    assert response.headers["location"] == f"/api/products/{product['id']}"
    assert (await inventory.get(response.headers["location"])).json() == product
    assert (product["price"], product["stock"], product["revision"], product["tags"]) == (299.5, 0, 1, ["a", "b"])
    assert product["id"] > 100_000
    assert (announced.product_id, announced.revision) == (product["id"], 1)
    assert announced.price == Money(amount=29950, currency="CNY")


async def test_an_id_that_a_caller_has_given_is_not_drawn_again(inventory: Client, sku: str) -> None:
    drawn = (await created(inventory, sku))["id"]
    await created(inventory, f"{sku}-2", id=drawn + 1)
    await created(inventory, f"{sku}-3", id=drawn + 2)

    assert (await created(inventory, f"{sku}-4"))["id"] == drawn + 3


@pytest.mark.parametrize("same", ["sku", "id"])
async def test_a_second_product_with_the_same_sku_or_id_is_refused(inventory: Client, sku: str, same: str) -> None:
    first = await created(inventory, sku)
    second = a_product(f"{sku}-2", id=first["id"] + 10_000) | {same: first[same]}

    response = await inventory.post("/api/products", json=second)

    assert response.status_code == 409
    assert str(first[same]) in response.json()["detail"]


async def test_a_changed_product_is_announced_with_its_next_revision(bus: Bus, inventory: Client, sku: str) -> None:
    product = await created(inventory, sku)

    response = await inventory.patch(f"/api/products/{product['id']}", json={"price": 259.9, "tags": ["sale"]})

    assert response.json() == product | {"price": 259.9, "tags": ["sale"], "revision": 2}
    announced = await bus.expect(ProductChanged, sku=sku)
    assert (announced.price.amount, announced.name, announced.revision) == (25990, product["name"], 2)


async def test_a_deleted_product_is_announced_and_gone(bus: Bus, inventory: Client, sku: str) -> None:
    path = f"/api/products/{(await created(inventory, sku))['id']}"

    assert (await inventory.delete(path)).status_code == 204

    assert (await bus.expect(ProductDeleted, sku=sku)).revision == 2
    assert (await inventory.get(path)).status_code == 404
    assert (await inventory.patch(path, json={"price": 1})).status_code == 404
    assert (await inventory.delete(path)).status_code == 404
    assert await found(inventory, sku) == []


async def test_a_keyword_finds_names_skus_categories_and_tags_whatever_their_case(inventory: Client) -> None:
    word = uuid4().hex
    await created(inventory, "S1", name=f"Phone {word.upper()}")
    await created(inventory, f"S2-{word}")
    await created(inventory, "S3", category=f"{word}/audio")
    await created(inventory, "S4", tags=["other", f"x{word}"])
    await created(inventory, "S5")

    assert await found(inventory, word) == ["S1", f"S2-{word}", "S3", "S4"]
    assert await found(inventory, word, page=2, page_size=3) == ["S4"]
    assert await found(inventory, word, page=3, page_size=3) == []


async def test_a_keyword_may_be_one_character_or_several_of_any_language(inventory: Client) -> None:
    # of headphones, as other tests sell them, there may be more than a page
    await created(inventory, "C1", name="加厚纤维毛巾")
    await created(inventory, "C2", name="毛巾架")
    await created(inventory, "C3", name="浴帽", category="纤维")

    assert [set(await found(inventory, keyword)) for keyword in ("纤维毛巾", "毛巾", "纤维", "帽", "维毛")] == [
        {"C1"},
        {"C1", "C2"},
        {"C1", "C3"},
        {"C3"},
        {"C1"},
    ]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
async def test_a_keyword_is_found_however_its_accents_are_written(
    inventory: Client, sku: str, form: Literal["NFC", "NFD"]
) -> None:
    await created(inventory, f"{sku}-1", name=normalize("NFD", f"Café {sku}"))
    await created(inventory, f"{sku}-2", name=normalize("NFC", f"Café {sku}"))
    await created(inventory, f"{sku}-3", category=normalize("NFD", f"Café {sku}"))
    await created(inventory, f"{sku}-4", tags=[normalize("NFD", f"Café {sku}"), normalize("NFC", f"Café {sku}")])

    assert await found(inventory, normalize(form, f"café {sku}")) == [f"{sku}-{number}" for number in (1, 2, 3, 4)]


async def test_a_search_that_was_made_before_shows_what_has_changed_since(inventory: Client, sku: str) -> None:
    async def seen() -> list[tuple[str, float, int]]:
        response = await inventory.get("/api/products", params={"keyword": sku})
        return [(product["sku"], product["price"], product["stock"]) for product in response.json()["products"]]

    assert await seen() == []
    product = await created(inventory, sku, stock=5)
    assert await seen() == [(sku, 299, 5)]
    await inventory.patch(f"/api/products/{product['id']}", json={"price": 259})
    assert await seen() == [(sku, 259, 5)]
    await inventory.post("/api/stock/adjustments", json={"sku": sku, "quantity": -2, "reason": "broken"})
    assert await seen() == [(sku, 259, 3)]
    await inventory.delete(f"/api/products/{product['id']}")
    assert await seen() == []


async def test_a_search_that_was_made_before_asks_for_the_shelves_only(house: House, inventory: Client, sku: str) -> None:
    await created(inventory, sku, stock=5)
    sent: list[str] = []
    connection = await asyncpg.connect(house.database_url, server_settings={"search_path": "inventory"})
    try:
        first = await views.search(connection, sku, 1, 20)
        with connection.query_logger(lambda record: sent.append(record.query)):
            second = await views.search(connection, sku, 1, 20)
    finally:
        await connection.close()

    assert second == first
    assert len(sent) == 1
    assert "product" not in sent[0]


async def test_a_keyword_is_not_found_across_name_and_sku(inventory: Client) -> None:
    word = uuid4().hex
    await created(inventory, f"B{word}", name=f"{word}A")

    assert await found(inventory, f"AB{word}") == []


@pytest.mark.parametrize("sign", ["%", "_", "\\"])
async def test_a_sign_in_a_keyword_stands_for_itself(inventory: Client, sign: str) -> None:
    word, sku = uuid4().hex, uuid4().hex
    await created(inventory, sku, name=f"{word}{sign}off")
    await created(inventory, f"{sku}-2", name=f"{word}xoff")

    assert await found(inventory, f"{word}{sign}off") == [sku]


@pytest.mark.parametrize(
    "params", [{"page": 0}, {"page_size": 101}, {"page_size": 0}, {"keyword": "x" * 101}, {"keyword": "\0"}, {"page": 10**9}]
)
async def test_a_search_out_of_bounds_is_refused(inventory: Client, params: dict[str, Any]) -> None:
    assert (await inventory.get("/api/products", params=params)).status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"price": 1.234},
        {"price": -1},
        {"price": 1e13},
        {"price": True},
        {"price": "NaN"},
        {"currency": "XXQ"},
        {"sku": "a b"},
        {"name": ""},
        {"name": "a\0b"},
        {"stock": -1},
        {"stock": 1.5},
        {"id": 2**60},
        {"id": True},
        {"location": ""},
        {"tags": ["x" * 51]},
        {"colour": "red"},
    ],
    ids=str,
)
async def test_a_product_that_makes_no_sense_is_refused(inventory: Client, sku: str, wrong: dict[str, Any]) -> None:
    response = await inventory.post("/api/products", json=a_product(sku) | wrong)

    assert response.status_code == 422, response.text
    assert next(iter(wrong)) in response.json()["detail"]


async def test_only_who_may_write_products_can_change_them(inventory: Client, sku: str) -> None:
    product = await created(inventory, sku)

    async with a_stranger_to(inventory) as stranger:
        answers = [
            await stranger.post("/api/products", json=a_product(f"{sku}-2")),
            await stranger.patch(f"/api/products/{product['id']}", json={"price": 1}),
            await stranger.delete(f"/api/products/{product['id']}"),
            await stranger.post("/api/stock/adjustments", json={"sku": sku, "quantity": 1, "reason": "found"}),
        ]

    assert [answer.status_code for answer in answers] == [401] * 4
    assert (await inventory.get(f"/api/products/{product['id']}")).json() == product


async def test_a_repeated_request_with_the_same_key_creates_one_product(inventory: Client, sku: str) -> None:
    key = {"idempotency-key": sku}

    first = await inventory.post("/api/products", json=a_product(sku), headers=key)
    second = await inventory.post("/api/products", json=a_product(sku), headers=key)

    assert (first.status_code, first.json()) == (second.status_code, second.json()) == (201, first.json())
