"""Requests that come at the same time share a transaction, and nothing else."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace

import asyncpg
from fastapi import Request, Response

from shared import telemetry
from shared.database import Database, Tx
from shared.joining import Joined
from shared.problems import Problem
from tests.service.house import Bus, Client, House
from tests.service.orders.asking import a_wish, sell


async def test_orders_that_come_at_once_are_each_placed_and_one_that_cannot_be_is_refused(
    bus: Bus, orders: Client, sku: str
) -> None:
    await sell(bus, orders, sku)
    wishes = [a_wish(sku, quantity) for quantity in range(1, 20)] + [a_wish("NOT-ON-SALE")]

    answers = await asyncio.gather(*(orders.post("/api/orders", json=wish) for wish in wishes))

    *placed, refused = answers
    assert [answer.json()["total"]["amount"] for answer in placed] == [29900 * quantity for quantity in range(1, 20)]
    assert len({answer.json()["order_id"] for answer in placed}) == 19
    assert (refused.status_code, refused.json()["line"]) == (422, 0)


async def test_one_key_at_the_same_moment_makes_one_order(bus: Bus, orders: Client, sku: str) -> None:
    await sell(bus, orders, sku)
    key = {"idempotency-key": f"{sku} at once"}

    answers = await asyncio.gather(*(orders.post("/api/orders", json=a_wish(sku), headers=key) for _ in range(12)))

    assert {(answer.status_code, answer.json()["order_id"]) for answer in answers} == {(201, answers[0].json()["order_id"])}
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 11


async def test_a_key_that_was_answered_with_a_refusal_may_be_used_again(bus: Bus, orders: Client, sku: str) -> None:
    key = {"idempotency-key": f"{sku} too early"}
    early = await orders.post("/api/orders", json=a_wish(sku), headers=key)
    await sell(bus, orders, sku)

    again = await orders.post("/api/orders", json=a_wish(sku), headers=key)

    assert (early.status_code, again.status_code) == (422, 201)


def a_request(database: Database) -> Request:
    """As it reaches a route, without a key."""
    request = Request(
        {"type": "http", "method": "POST", "headers": [], "app": SimpleNamespace(state=SimpleNamespace(database=database))}
    )
    request.state.principal, request.state.trace = None, telemetry.Request(request.scope)
    return request


async def test_one_that_breaks_something_fails_alone(house: House) -> None:
    transactions = []

    @Joined
    async def divide(wishes: Sequence[int], tx: Tx) -> list[Response | Problem]:
        transactions.append(len(wishes))
        return [Response(str(await tx.fetchval("SELECT 60 / $1::integer", wish))) for wish in wishes]

    async with asyncpg.create_pool(house.database_url, server_settings={"search_path": "orders"}) as pool:
        request = a_request(Database(pool, "orders"))
        answers = await asyncio.gather(*(divide(request, wish) for wish in (1, 2, 0, 3)), return_exceptions=True)

    assert [bytes(answer.body) for answer in answers if isinstance(answer, Response)] == [b"60", b"30", b"20"]
    assert isinstance(answers[2], asyncpg.DivisionByZeroError)
    assert transactions[0] == 4
