"""A backup taken under load holds every order that was acknowledged before it, and the restored installation goes on."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from deploy.audit import audit
from deploy.backup import bus, restore, take, taking
from deploy.backup.taking import ABOUT, BUS, DATABASE
from deploy.stack import observability, packages, processes, stack
from deploy.stack.state import Say, StackError, StackFolder, open_folder, silent
from tests.builders import a_paid_order
from tests.journeys.shop import Shop


async def backup(shop: Shop, folder: Path, say: Say = silent) -> datetime:
    """The moment it shows."""
    about = await take(shop.addresses["postgres"]["superuser_url"], shop.addresses["rabbitmq"]["url"], folder, say)
    return datetime.fromisoformat(str(about["moment"]))


async def put_back(backup: Path, folder: StackFolder, say: Say = silent) -> None:
    """The journeys' servers are named by URL, but the stack in this folder is the installation on them."""
    await asyncio.to_thread(restore, backup, say, folder, up=True)


@asynccontextmanager
async def a_backup(shop: Shop, folder: Path) -> AsyncIterator[None]:
    """What comes in the block is in the backup."""
    listens = asyncio.Event()
    taking = asyncio.create_task(backup(shop, folder, lambda _: listens.set()))
    await listens.wait()
    yield
    await taking


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    """In the block the process does nothing about what comes."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def assert_all_is_well(shop: Shop, order_ids: Iterable[str]) -> None:
    """Each of these orders is on its way, and everything adds up."""
    for order_id in order_ids:
        await shop.until(order_id, "shipped")
    report = await audit(shop.addresses["postgres"]["superuser_url"])
    assert report.ok, [check.violations for check in report.checks if not check.ok]


@pytest.fixture
def watchers(running: Path) -> Iterator[Sequence[str]]:
    """Who watches the stack: nobody where the programs for it are not on this machine."""
    folder = open_folder(running)
    try:
        stack.up(folder=folder, observed=True)
    except StackError:
        if packages.can_install():
            raise
        yield ()
    else:
        yield observability.ROLES
        processes.stop(folder, observability.ROLES)


async def test_every_order_acknowledged_before_the_backup_is_there_after_a_restore_and_who_watched_watches_on(
    shop: Shop, running: Path, watchers: Sequence[str], tmp_path: Path, sku: str
) -> None:
    folder = open_folder(running)
    await shop.sell(sku, stock=100_000)
    acknowledged: dict[str, datetime] = {}

    async def go_on_buying() -> None:
        while True:
            order_id = f"{sku}-{len(acknowledged)}"
            await shop.bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/taobao-42")
            acknowledged[order_id] = datetime.now(UTC)
            order_id = await shop.order(sku)
            acknowledged[order_id] = datetime.now(UTC)
            await asyncio.sleep(0.05)  # some at every moment are enough; as many as there can be take a minute to ship

    buying = asyncio.create_task(go_on_buying())
    moment = await backup(shop, tmp_path / "backup")
    before = [order_id for order_id, at in acknowledged.items() if at < moment]
    while len(acknowledged) < len(before) + 50:
        await asyncio.sleep(0.01)
    buying.cancel()
    with suppress(asyncio.CancelledError):
        await buying

    await put_back(tmp_path / "backup", folder)

    assert before
    assert (await shop.client.get(f"{shop.url('orders')}/api/orders/{list(acknowledged)[-1]}")).status_code == 404
    await assert_all_is_well(shop, before)
    assert all(processes.recorded(folder, role) for role in watchers)


async def test_a_restore_that_refuses_loses_nothing_and_who_ran_runs_on(
    shop: Shop, running: Path, watchers: Sequence[str], tmp_path: Path, sku: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "IN_HAND", 0)  # nothing is
    folder = open_folder(running)
    await shop.sell(sku, stock=1000)
    await backup(shop, tmp_path / "backup")
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    acknowledged: list[str] = []

    async def go_on_selling() -> None:
        await stopping.wait()
        while True:  # on the bus, where nobody hears it just now
            await shop.bus.publish(a_paid_order(order_id=f"{sku}-{len(acknowledged)}", sku=sku), source="/shops/taobao-42")
            acknowledged.append(f"{sku}-{len(acknowledged)}")
            await asyncio.sleep(0.2)

    selling = asyncio.create_task(go_on_selling())
    clerk = await asyncpg.connect(shop.addresses["postgres"]["superuser_url"], server_settings={"application_name": "psql"})

    def say(step: str) -> None:
        if step.startswith("stopping"):
            loop.call_soon_threadsafe(stopping.set)

    with pytest.raises(StackError, match=r"psql \(\w+ from 127\.0\.0\.1\)"):
        await put_back(tmp_path / "backup", folder, say)
    await clerk.close()
    selling.cancel()
    with suppress(asyncio.CancelledError):
        await selling

    assert acknowledged
    await assert_all_is_well(shop, acknowledged)
    assert all(processes.recorded(folder, role) for role in watchers)


async def test_who_watched_watches_on_after_a_restore_that_was_cut_short(
    shop: Shop, running: Path, watchers: Sequence[str], tmp_path: Path, sku: str, order_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "IN_HAND", 0)  # nothing is
    folder = open_folder(running)
    await shop.sell(sku)
    await backup(shop, tmp_path / "backup")

    def interrupt(step: str) -> None:
        if step.startswith("emptying the queues"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await put_back(tmp_path / "backup", folder, interrupt)
    await put_back(tmp_path / "backup", folder)

    await shop.bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/taobao-42")
    await assert_all_is_well(shop, [order_id])
    assert all(processes.recorded(folder, role) for role in watchers)


async def test_what_was_on_the_bus_in_that_moment_is_heard_after_a_restore_and_what_was_charged_since_is_charged_once(
    shop: Shop, running: Path, services: dict[str, int], tmp_path: Path, sku: str, order_id: str
) -> None:
    await shop.sell(sku)
    with standing_still(services["payments"]), standing_still(services["logistics"]):
        async with a_backup(shop, tmp_path / "backup"):
            await shop.bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/taobao-42")
            charged = await shop.order(sku, channel="card", token="tok_ok")
    await shop.until(charged, "shipped")
    charges, (shipment,) = await shop.ledger(charged), await shop.shipments(charged)

    await put_back(tmp_path / "backup", open_folder(running))

    assert "order.paid" in [message.routing_key for message in bus.read(tmp_path / "backup" / BUS)]
    await assert_all_is_well(shop, [order_id, charged])
    assert [charge["captured"] for charge in charges] == [29900]
    assert await shop.ledger(charged) == charges
    assert [again["shipment_id"] for again in await shop.shipments(charged)] == [shipment["shipment_id"]]


async def test_a_backup_that_cannot_be_read_disturbs_nothing(
    shop: Shop, running: Path, services: dict[str, int], tmp_path: Path, sku: str, order_id: str
) -> None:
    (tmp_path / ABOUT).write_text('{"format": 1, "moment": "2026-11-25T12:00:00+00:00"}')
    (tmp_path / BUS).touch()
    (tmp_path / DATABASE).write_bytes(b"PGDMP torn")
    await shop.sell(sku)

    with pytest.raises(StackError, match="pg_restore failed"):
        await put_back(tmp_path, open_folder(running))

    await shop.bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/taobao-42")
    await assert_all_is_well(shop, [order_id])
    assert all(processes.is_listed(pid) for pid in services.values())
