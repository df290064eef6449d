"""The audit as metrics: what does not add up is seen, and so is an audit that cannot be done."""

import asyncio
import os
import subprocess
from contextlib import suppress
from datetime import timedelta
from urllib.parse import quote, unquote, urlsplit

import asyncpg
import pytest
import yaml
from prometheus_client import CollectorRegistry

from deploy.audit import audit
from deploy.audit.scheduled import Gauges, keep_auditing
from deploy.stack.state import CHECKOUT
from tests.journeys.shop import Shop

FINISHED = "orderbus_audit_last_success_timestamp_seconds"


def violations(registry: CollectorRegistry, invariant: str) -> float | None:
    return registry.get_sample_value("orderbus_audit_violations", {"invariant": invariant})


async def test_what_does_not_add_up_is_a_metric_until_it_is_mended(shop: Shop, sku: str) -> None:
    await shop.sell(sku)
    url = shop.addresses["postgres"]["superuser_url"]
    gauges = Gauges()
    said: list[str] = []
    assert violations(gauges.registry, "shelves_equal_movements") is None
    auditing = asyncio.create_task(keep_auditing(url, timedelta(seconds=0.2), gauges, said.append))
    database = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(30):
            while violations(gauges.registry, "shelves_equal_movements") != 0:
                await asyncio.sleep(0.02)
            await database.execute("UPDATE inventory.shelf SET on_hand = on_hand + 1 WHERE sku = $1", sku)
            while violations(gauges.registry, "shelves_equal_movements") != 1:
                await asyncio.sleep(0.02)
            await database.execute("UPDATE inventory.shelf SET on_hand = on_hand - 1 WHERE sku = $1", sku)
            while violations(gauges.registry, "shelves_equal_movements") != 0:
                await asyncio.sleep(0.02)
    finally:
        await database.close()
        auditing.cancel()
        with suppress(asyncio.CancelledError):
            await auditing

    assert gauges.registry.get_sample_value(FINISHED)
    assert any("shelves_equal_movements (1)" in sentence for sentence in said)


async def test_the_roles_that_compose_makes_can_audit_and_watch_and_change_nothing(shop: Shop) -> None:
    database = urlsplit(shop.addresses["postgres"]["superuser_url"])
    script = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]["audit-role"]["command"]
    told = {
        "PGHOST": str(database.hostname),
        "PGPORT": str(database.port),
        "PGUSER": unquote(database.username or ""),
        "PGPASSWORD": unquote(database.password or ""),
        "PGDATABASE": database.path.lstrip("/"),
        "AUDIT_PASSWORD": "it's trial",
        "EXPORTER_PASSWORD": "watching",
    }
    place = database.netloc.rpartition("@")[2]
    url = database._replace(netloc=f"orderbus_audit:{quote(told['AUDIT_PASSWORD'])}@{place}").geturl()

    for _ in range(2):
        made = await asyncio.to_thread(
            subprocess.run, script, env={"PATH": os.environ["PATH"], **told}, capture_output=True, text=True
        )
        assert made.returncode == 0, made.stderr
    report = await audit(url, timedelta(0))
    connection = await asyncpg.connect(url)
    try:
        for change in ("DELETE FROM orders.orders", "CREATE TABLE inventory.x ()", "INSERT INTO payments.outbox DEFAULT VALUES"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(change)
    finally:
        await connection.close()
    exporter = await asyncpg.connect(database._replace(netloc=f"orderbus_exporter:watching@{place}").geturl())
    try:
        assert await exporter.fetchval("SELECT pg_database_size(current_database()) + count(query) FROM pg_stat_activity")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await exporter.execute("SELECT * FROM orders.orders")
    finally:
        await exporter.close()

    assert {check.name for check in report.checks} >= {"paid_orders_ship", "captured_equals_ledger"}


async def test_an_audit_that_cannot_be_done_does_not_look_like_one_that_found_nothing() -> None:
    gauges, said = Gauges(), list[str]()
    auditing = asyncio.create_task(keep_auditing("postgresql://nobody@127.0.0.1:1/x", timedelta(seconds=60), gauges, said.append))
    async with asyncio.timeout(20):
        while not said:
            await asyncio.sleep(0.02)
    auditing.cancel()

    assert gauges.registry.get_sample_value(FINISHED) == 0
    assert violations(gauges.registry, "shelves_equal_movements") is None
