"""An operator's hands: what went wrong is seen, mended and replayed through the whole installation."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aio_pika
import orjson
import pytest
from typer.testing import CliRunner

from deploy.audit import audit
from deploy.cli import addresses
from deploy.cli.dead_letters import app
from deploy.stack import stack
from deploy.stack.state import open_folder
from deploy.stack.troubles import Troubles
from shared import codec
from shared.bus.broker import DEAD_EXCHANGE, dead_queue_name
from shared.bus.received import DEATHS
from shared.events import Envelope
from shared.events.shipments import ShipmentCreated
from shared.origin import EXCHANGE
from tests.builders import a_paid_order
from tests.journeys.shop import Shop

SHOP = "/shops/taobao-42"

Operator = Callable[..., Any]


@pytest.fixture
def operator(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Operator:
    """Who types `./orderbus dead-letters …` and reads what it prints with --json."""
    monkeypatch.setattr(addresses, "stack", lambda: shop.addresses)

    async def type_in(*arguments: str, exit_code: int = 0) -> Any:
        answer = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"])
        assert answer.exit_code == exit_code, answer.output
        return json.loads(answer.stdout) if exit_code == 0 else answer.output

    return type_in


def on_the_wire(order_id: str, sku: str) -> bytes:
    envelope = Envelope(f"paid-{order_id}", SHOP, "order.paid", order_id, datetime.now(UTC))
    return codec.encode(a_paid_order(order_id=order_id, sku=sku), envelope)


async def given_up(shop: Shop, bodies: list[bytes]) -> None:
    """What the broker does with messages that killed whoever took them."""
    async with await aio_pika.connect(shop.addresses["rabbitmq"]["url"]) as connection:
        exchange = await (await connection.channel()).get_exchange(DEAD_EXCHANGE)
        death = {"exchange": EXCHANGE, "routing-keys": ["order.paid"], "queue": "orders.order.paid"}
        headers: dict[str, Any] = {DEATHS: [death]}
        for body in bodies:
            message = aio_pika.Message(body, content_type=codec.SINGLE, headers=headers)
            await exchange.publish(message, dead_queue_name("orders"))


async def letters_of(operator: Operator, order_ids: list[str], *wanted: str) -> list[dict[str, Any]]:
    """The letters about these orders, once there is one for each."""
    while True:
        told = await operator("list", "--each", "--service", "orders", *wanted)
        found = [letter for letter in told["letters"] if letter["subject"] in order_ids]
        if len(found) == len(order_ids):
            return found


async def troubles(running: Path) -> Troubles:
    """What `./orderbus status` says of orders."""
    lines = await asyncio.to_thread(stack.status, open_folder(running))
    (found,) = [line.troubles for line in lines if line.name == "orders"]
    assert found is not None
    return found


async def test_an_order_that_came_without_its_total_is_mended_by_an_operator_and_shipped_once(
    shop: Shop, running: Path, operator: Operator, sku: str, order_id: str, tmp_path: Path
) -> None:
    await shop.sell(sku, stock=10)
    meant = orjson.loads(on_the_wire(order_id, sku))
    broken = meant | {"data": {name: value for name, value in meant["data"].items() if name != "total"}}
    await shop.bus.publish_bytes(orjson.dumps(broken), codec.SINGLE, "order.paid")
    (letter,) = await letters_of(operator, [order_id], "--type", "order.paid", "--reason", "total: field required")
    shown = await operator("show", letter["id"])
    while not (await troubles(running)).dead_letters.get("dead"):
        await asyncio.sleep(0.02)
    (tmp_path / "mended.json").write_bytes(orjson.dumps(meant))

    await operator("replay", letter["id"], "--edit", str(tmp_path / "mended.json"), "--why", "the shop told us the total")

    await shop.pushed(order_id)
    assert shown["event"] == broken
    assert len(shop.bus.all(ShipmentCreated, order_id=order_id)) == 1
    while (done := await operator("show", letter["id"]))["state"] != "handled":
        await asyncio.sleep(0.02)
    assert [(d["actor"], d["why"], d["mended"]) for d in done["decisions"]] == [("local", "the shop told us the total", True)]
    assert "was handled" in await operator("replay", letter["id"], "--why", "again", exit_code=1)
    assert await shop.stock(sku) == 9


async def test_a_replay_that_is_killed_midway_and_repeated_ships_every_order_once(
    shop: Shop, running: Path, services: dict[str, int], operator: Operator, sku: str, order_id: str
) -> None:
    await shop.sell(sku, stock=1000)
    ids = [f"{order_id}-{n}" for n in range(40)]
    await given_up(shop, [on_the_wire(id, sku) for id in ids])
    await letters_of(operator, ids, "--state", "dead")
    chosen = ("--service", "orders", "--reason", "given up by the broker", "--why", "the memory leak is mended")
    would = await operator("replay", *chosen, "--dry-run")

    replayed = await operator("replay", *chosen)
    while not (await operator("list", "--each", "--service", "orders", "--state", "handled"))["letters"]:
        await asyncio.sleep(0.02)
    os.kill(services["orders"], signal.SIGKILL)
    await asyncio.to_thread(stack.up, folder=open_folder(running))
    await operator("replay", *chosen)

    assert would["count"] == replayed["count"] == 40
    for id in ids:
        await shop.until(id, "shipped", seconds=60)
        await shop.pushed(id)
    assert await shop.stock(sku) == 1000 - 40
    assert all(len(shop.bus.all(ShipmentCreated, order_id=id)) == 1 for id in ids)
    report = await audit(shop.addresses["postgres"]["superuser_url"])
    assert report.ok, [check.violations for check in report.checks if not check.ok]


async def test_letters_are_discarded_where_they_are_and_nothing_is_done_when_one_is_unknown(
    shop: Shop, operator: Operator, order_id: str
) -> None:
    await shop.bus.publish_bytes(order_id.encode(), codec.SINGLE, "order.paid")

    async def junk() -> list[dict[str, Any]]:
        told = await operator("list", "--each", "--reason", "not CloudEvents")
        return [letter for letter in told["letters"] if (await operator("show", letter["id"]))["body"] == order_id]

    while len(found := await junk()) < 3:  # all three that listen for order.paid
        await asyncio.sleep(0.02)
    by_id = [letter["id"] for letter in found]
    unknown = by_id[0][:-4] + "0000"

    refused = await operator("discard", *by_id, unknown, "--why", "a port scan", exit_code=1)
    done = await operator("discard", *by_id, "--why", "a port scan")

    assert "nothing was done" in refused
    assert (done["count"], sorted(done["services"])) == (3, ["inventory", "logistics", "orders"])
    for id in by_id:
        letter = await operator("show", id)
        assert (letter["state"], letter["closed_by"], letter["decisions"][0]["why"]) == ("discarded", "local", "a port scan")
