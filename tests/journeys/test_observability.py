"""Prometheus watches a stack at work: each panel and each rule has something to say, and what runbooks have one type runs."""

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.grafana.files import FOLDER as DASHBOARDS
from deploy.stack import observability, packages, processes, stack
from deploy.stack.credentials import SERVICES
from deploy.stack.state import CHECKOUT, StackError, open_folder
from shared import codec
from shared.events import Envelope, Event
from shared.events.payments import PaymentRefunded
from shared.money import Money
from tests.builders import a_paid_order
from tests.journeys.conftest import a_shop
from tests.journeys.shop import Shop
from tests.plain_http import PLAIN

pytestmark = pytest.mark.timeout(300)

SHOP = "/shops/taobao-42"
IN_GERMANY = {"name": "Erika", "country": "DE", "city": "Berlin", "line1": "Torstr. 1", "postcode": "10119", "phone": "+4930123"}

RUNBOOKS = {path.stem: path.read_text() for path in sorted((CHECKOUT / "docs" / "runbooks").glob("*.md"))}
RULES = [
    pytest.param(rule["expr"], id=rule.get("alert") or rule["record"])
    for path in sorted((observability.SHIPPED / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
QUERIES = [
    pytest.param(target["expr"], id=f"{path.stem}: {panel['title']} {target['refId']}")
    for path in sorted(DASHBOARDS.glob("*.json"))
    for panel in json.loads(path.read_text())["panels"]
    if panel["type"] not in ("row", "text") and panel["datasource"]["uid"] == "prometheus"
    for target in panel["targets"]
]

GRAFANAS_OWN = {"$__rate_interval": "30s", "$__range": "5m"}

SELECTOR = re.compile(r"\b(?:up|(?:orderbus|rabbitmq|process|pg|redis)[a-z0-9_:]+)(?:\{[^}]*\})?")


@dataclass(frozen=True)
class Watched:
    """A stack with Prometheus beside it, which has seen all that orders can come to."""

    addresses: dict[str, Any]

    async def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that Prometheus answers with, and a number for each."""
        url = self.addresses["prometheus"]["url"]
        async with httpx.AsyncClient(base_url=url, verify=PLAIN, trust_env=False, timeout=30) as client:
            answer = (await client.get("/api/v1/query", params={"query": query})).json()
        assert answer["status"] == "success", f"{query}: {answer.get('error')}"
        return [series for series in answer["data"]["result"] if series["value"][1] != "NaN"]

    async def answers(self, query: str, patience: float = 60) -> bool:
        """Whether there is something to show: a rate needs two looks, and a rule its turn."""
        async with asyncio.timeout(patience):
            while not await self.ask(query):
                await asyncio.sleep(0.3)
        return True


@pytest.fixture(scope="module")
async def watched(running: Path) -> AsyncIterator[Watched]:
    try:
        addresses = await asyncio.to_thread(stack.up, folder=open_folder(running), observed=True)
    except StackError as missing:
        if packages.can_install():
            raise
        pytest.skip(str(missing))
    hasten(running, addresses["prometheus"]["pid"])
    async with a_shop(addresses) as shop:
        load = asyncio.create_task(go_on(shop))
        yield Watched(addresses)
        load.cancel()
        with suppress(asyncio.CancelledError):
            await load
    processes.stop(open_folder(running), observability.ROLES)  # looking every second, they would slow down all other journeys


async def go_on(shop: Shop) -> None:
    """For as long as the tests last."""
    while True:
        await all_that_can_happen(shop)


def hasten(folder: Path, pid: int) -> None:
    """The shipped configuration, but that Prometheus looks every second."""
    home = folder / "prometheus"
    for path in (home / "prometheus.yml", *home.glob("rules/*.yml")):
        path.write_text(re.sub(r"interval: \d+[sm]", "interval: 1s", path.read_text()))
    os.kill(pid, signal.SIGHUP)


async def all_that_can_happen(shop: Shop) -> None:
    """Orders of every kind and end, and the events and partners that make trouble."""
    sku, empty = f"W-{os.urandom(5).hex()}", f"W-{os.urandom(5).hex()}"
    await shop.sell(sku, stock=8)
    await shop.sell(empty, stock=0)
    sandbox = shop.url("sandbox")
    delivered = await shop.order(sku)
    away = await shop.order(sku, channel="card", token="tok_ok", ship_to=IN_GERMANY)
    refunded = await shop.order(sku, channel="card", token="tok_ok")
    held = await shop.order(sku, channel="card", token="tok_review")
    ends = {
        await shop.order(sku, channel="redirect", token="tok_ok"): "shipped",
        await shop.order(sku, channel="card", token="tok_declined"): "cancelled",
        await shop.order(sku, channel="card", token="tok_server_error_once"): "shipped",
        await shop.order(empty): "cancelled",
        await shop.order(sku, quantity=1001): "held",
    }
    ours = a_paid_order(order_id=f"W-{os.urandom(8).hex()}", sku=sku)
    for _ in range(2):
        await publish(shop, ours, f"paid-{ours.order_id}")
    nobodys = PaymentRefunded(order_id=refunded, refund_id="r", amount=Money(amount=1, currency="CNY"), reference="x")
    await publish(shop, nobodys, f"refund-{refunded}")

    for order_id in (delivered, away, refunded):
        await shop.until(order_id, "shipped")
        await shop.pushed(order_id)
    assert (await shop.tell(refunded, "refunds", amount=100)).status_code == 201
    await shop.scan((await shop.shipments(delivered))[0]["waybill"], "delivered")
    await shop.until(delivered, "completed")
    await shop.until(held, "held")
    await shop.tell(held, "cancel")
    for order_id, end in ends.items():
        await shop.until(order_id, end)
    await shop.until(ours.order_id, "shipped")
    assert (await shop.client.get(f"{sandbox}/sandbox/ledger")).is_success


async def publish(shop: Shop, event: Event, id: str) -> None:
    envelope = Envelope(id, SHOP, event.type, event.subject, datetime.now(UTC))
    await shop.bus.publish_bytes(*codec.join([codec.encode(event, envelope)]), event.type)


@pytest.mark.parametrize("query", QUERIES)
async def test_every_panel_has_something_to_show(watched: Watched, query: str) -> None:
    for word, meaning in GRAFANAS_OWN.items():
        query = query.replace(word, meaning)

    assert await watched.answers(query)


@pytest.mark.parametrize("expression", RULES)
async def test_every_rule_is_about_something_that_is_there(watched: Watched, expression: str) -> None:
    """An alert that does not fire answers nothing: what it looks at does."""
    selectors = {found[0] for found in SELECTOR.finditer(expression)}

    assert selectors
    for selector in selectors:
        assert await watched.answers(selector)


async def test_prometheus_reaches_all_that_it_scrapes_and_every_rule_can_be_evaluated(watched: Watched) -> None:
    async def is_well() -> list[str]:
        async with httpx.AsyncClient(base_url=watched.addresses["prometheus"]["url"], verify=PLAIN, trust_env=False) as client:
            targets = (await client.get("/api/v1/targets")).json()["data"]["activeTargets"]
            groups = (await client.get("/api/v1/rules")).json()["data"]["groups"]
        unseen = {"orderbus", "rabbitmq", "postgres", "redis", "audit"} - {target["labels"]["job"] for target in targets}
        unwell = [f"{target['scrapeUrl']}: {target['lastError']}" for target in targets if target["health"] != "up"]
        failing = [f"{rule['name']}: {rule}" for group in groups for rule in group["rules"] if rule["health"] != "ok"]
        return [*sorted(unseen), *unwell, *failing]

    async with asyncio.timeout(60):
        while await is_well():
            await asyncio.sleep(0.3)


async def test_no_label_is_an_id_and_no_process_has_many_series(watched: Watched) -> None:
    how_many = 'count by (service) ({job="orderbus"})'
    assert await watched.answers(how_many)
    values = await watched.ask('{__name__=~"orderbus_.+", job="orderbus"}')
    chosen_by_us = ("__name__", "route")  # a route is said without what is filled into it, however long
    long = {
        value for series in values for name, value in series["metric"].items() if len(value) > 40 and name not in chosen_by_us
    }

    assert long == set()
    assert not {
        value for series in values for value in series["metric"].values() if re.search(r"W-[0-9a-f]{8}|[0-9a-f]{12}", value)
    }
    assert max(float(each["value"][1]) for each in await watched.ask(how_many)) < 2000


@pytest.mark.parametrize("page", RUNBOOKS)
async def test_what_a_runbook_has_one_type_to_see_runs(watched: Watched, page: str) -> None:
    metric = re.search(r"^metric\(\).*$", RUNBOOKS["README"], re.MULTILINE)
    commands = [
        line
        for block in re.findall(r"```sh\n(.*?)```", RUNBOOKS[page], re.DOTALL)
        for line in block.splitlines()
        if line.startswith(("metric ", "psql ", "curl -s "))
    ]
    given = {
        "TOKEN": watched.addresses["token"],
        "ORDERS": watched.addresses["services"]["orders"]["url"],
        "PROMETHEUS": watched.addresses["prometheus"]["url"],
        "RABBITMQ": watched.addresses["rabbitmq"]["management_url"],
        "DATABASE": watched.addresses["postgres"]["superuser_url"],
    }
    assert metric
    for command in commands:
        answer = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-c", f"set -euo pipefail\n{metric[0]}\n{command}"],
            env=os.environ | given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, f"{command}\n{answer.stderr}"


@pytest.mark.parametrize("service", SERVICES)
async def test_prometheus_finds_nothing_to_say_about_how_metrics_are_named(watched: Watched, service: str) -> None:
    url = watched.addresses["services"][service]["url"]
    async with httpx.AsyncClient(verify=PLAIN, trust_env=False) as client:
        said = (await client.get(f"{url}/metrics")).content
    answer = await asyncio.to_thread(
        subprocess.run, ["promtool", "check", "metrics"], input=said, capture_output=True, check=False
    )

    assert (answer.returncode, answer.stderr.decode()) == (0, "")
