"""What makes each alert fire. A provocation begins, lasts until its alerts have been seen, and is ended."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import httpx

from shared import codec
from shared.events import OURS, Envelope
from shared.events.products import ProductDeleted
from shared.inbox import key_of
from shared.money import Money
from shared.retention import slot_of
from tests.faults.fleet import HASTE
from tests.faults.purchases import CANCELLED, EXTERNAL, HELD, OWN_FLEET, Kind
from tests.faults.scene import Scene
from tests.faults.watching import Watch

ON_ACCOUNT = Kind("invoice", channel="invoice", token=None)
TOO_MANY = Kind("a thousand and one pieces", HELD, channel="invoice", token=None)
NOT_PAID = Kind("redirect, nobody pays", channel="redirect", token="tok_manual")
NOT_OFFERED = Kind("a channel that nobody offers", CANCELLED, channel="klarna", token=None)
EMPTY_SHELF = Kind("shelf is empty", CANCELLED, channel="invoice", token=None, goods="none")
CARRIED = Kind("invoice, DHL", channel="invoice", token=None, postcode="10119")

TOLD = {**HASTE, "ORDERBUS_ORDERS_RETURN_WINDOW": "86400"}
"""What the services of a stage are told; an order that is delivered stays so."""

MANY_MESSAGES = 1_100
PAUSE, BETWEEN_PAUSES = 0.6, 2.4
"""Seconds: one of thirty looks at the clock comes late, by more than a quarter of a second."""

PATIENCE = 60.0
"""Seconds until an order is where it is needed."""

REST = 90.0
"""Seconds: longer than it takes until a partner that was silent is asked again."""

UNDER_WAY = """
    SELECT id FROM orders.orders WHERE status = 'paid'
    UNION ALL SELECT order_id FROM payments.payment WHERE errand = 'charge'
    UNION ALL SELECT shipment_id::text FROM logistics.errand WHERE next_attempt_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Orders that have come as far as a provocation needs them, and an article that nobody buys."""

    unsold: str
    held: str
    delivered: str
    unpaid: str


async def prepare(scene: Scene) -> Wanted:
    """Nothing is broken yet: bring these orders where they are needed."""
    unsold = f"F-{scene.catalogue.run}-UNSOLD"
    await scene.shoppers.sell(scene.fleet.of("inventory")[0].url, {unsold: 10})
    bought = [scene.catalogue.purchase(TOO_MANY, 1001), scene.catalogue.purchase(CARRIED), scene.catalogue.purchase(NOT_PAID)]
    scene.shoppers.buy(*bought)
    await scene.shoppers.acknowledged(bought)
    held, delivered, unpaid = (str(purchase.order_id) for purchase in bought)

    async def becomes(query: str, order_id: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not await scene.servers.fetch(query, order_id):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no row after {PATIENCE:.0f} s: {query}, {order_id}")
            await asyncio.sleep(0.1)

    await becomes("SELECT FROM payments.payment WHERE order_id = $1 AND errand = 'ask'", unpaid)
    await becomes("SELECT FROM orders.orders WHERE id = $1 AND status = 'held'", held)
    await becomes("SELECT FROM orders.orders WHERE id = $1 AND status = 'shipped'", delivered)
    (parcel,) = await scene.servers.fetch("SELECT waybill FROM logistics.shipment WHERE order_id = $1", delivered)
    scan = await scene.sandbox.post(f"/sandbox/shipments/{parcel['waybill']}/scan", json={"status": "delivered"})
    scan.raise_for_status()
    await becomes("SELECT FROM orders.orders WHERE id = $1 AND complete_at IS NOT NULL", delivered)
    return Wanted(unsold, held, delivered, unpaid)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stack under light load, and who watches it. `auditor`: the pid of who audits."""

    scene: Scene
    wanted: Wanted
    watch: Watch
    client: httpx.AsyncClient
    auditor: int

    def url(self, service: str) -> str:
        """Of its HTTP API."""
        return self.scene.fleet.of(service)[0].url

    async def at_rest(self) -> None:
        """Returns when nobody is being charged and every paid order's number has been pushed; in any case after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REST):
                while await self.scene.servers.fetch(UNDER_WAY):
                    await asyncio.sleep(0.5)


Provoke = Callable[[Stage], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Provocation:
    """A fault, and the alerts that it makes fire. Those of one lane go one after another. `alone`: while it lasts nothing
    else can be provoked; `is_robust`: but for this, which goes on all the same. `hushes`: nobody buys anything meanwhile."""

    name: str
    sentence: str
    alerts: tuple[str, ...]
    provoke: Provoke
    lane: str
    alone: bool
    is_robust: bool
    hushes: bool


PROVOCATIONS: list[Provocation] = []


def provokes(
    *alerts: str, lane: str = "", alone: bool = False, is_robust: bool = False, hushes: bool = False
) -> Callable[[Callable[[Stage], AsyncIterator[None]]], Provoke]:
    """Add the function to the list, under its own name and sentence: what it does before its `yield` provokes the alerts, what
    it does after it ends them."""

    def add(function: Callable[[Stage], AsyncIterator[None]]) -> Provoke:
        name, sentence = function.__name__, " ".join((function.__doc__ or "").split())
        provoke = asynccontextmanager(function)
        PROVOCATIONS.append(Provocation(name, sentence, alerts, provoke, lane or name, alone, is_robust, hushes))
        return provoke

    return add


@provokes("DeadLetters", "DeadLettersUnhandled", "DeadLettersUnhandledSlowly")
async def letter_left_lying(stage: Stage) -> AsyncIterator[None]:
    """Half of an event is kept for a person, and has been for a quarter of an hour: its time is moved back."""
    half = f'{{"specversion": "1.0", "id": "{uuid4().hex}'.encode()
    await stage.scene.shoppers.publish(half, "orders.product.deleted", to_queue=True)
    aged = "UPDATE orders.dead_letter SET first_failed_at = first_failed_at - interval '16 minutes' WHERE body = $1 RETURNING id"
    while not (rows := await stage.scene.servers.fetch(aged, half)):
        await asyncio.sleep(0.1)
    yield
    wish = {"ids": [str(rows[0]["id"])], "why": "it was half an event"}
    (await stage.client.post(f"{stage.url('orders')}/api/dead-letters/discard", json=wish)).raise_for_status()


@provokes("ServiceRestarting")
async def service_killed_again_and_again(stage: Stage) -> AsyncIterator[None]:
    """Inventory is killed as soon as Prometheus has seen that it was started again."""
    (replica,) = stage.scene.fleet.of("inventory")
    started = 'process_start_time_seconds{job="orderbus", service="inventory"}'

    async def kill_on() -> None:
        while True:
            before = await stage.watch.ask(started)
            replica.signal(signal.SIGKILL)
            while not (now := await stage.watch.ask(started)) or now == before:
                await asyncio.sleep(0.2)

    async with going_on(kill_on):
        yield
    await stage.scene.fleet.ready([replica])


@provokes("PostgresPoolExhausted", "ApiSlowOrFailing", "ApiSlowOrFailingSlowly", lane="logistics", hushes=True)
async def table_locked(stage: Stage) -> AsyncIterator[None]:
    """Somebody's session locks a table of logistics, and each who asks for a shipment waits on a connection of its own."""

    async def ask_on() -> None:
        while True:
            with suppress(httpx.HTTPError):
                await stage.client.get(f"{stage.url('logistics')}/api/shipments", params={"order_id": stage.wanted.delivered})
            await asyncio.sleep(0.2)

    async with stage.scene.servers.locked("logistics.shipment"), going_on(*[ask_on] * 10):
        yield


@provokes("ServiceDown", "QueueUnheard", "OrdersPushedLate", "OrdersPushedLateSlowly", lane="logistics", hushes=True)
async def service_down(stage: Stage) -> AsyncIterator[None]:
    """Logistics is stopped and not started again, and paid orders wait for it."""
    (replica,) = stage.scene.fleet.of("logistics")
    await stage.scene.fleet.stop(replica)
    stage.scene.buy(EXTERNAL, 8)
    yield
    stage.scene.fleet.start(replica)
    await stage.scene.fleet.ready([replica])


@provokes("EventLoopLate", is_robust=True)
async def process_paused(stage: Stage) -> AsyncIterator[None]:
    """Payments gets SIGSTOP every few seconds, and SIGCONT half a second later."""
    (replica,) = stage.scene.fleet.of("payments")

    async def pause_on() -> None:
        while True:
            replica.signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(PAUSE)
            finally:
                replica.signal(signal.SIGCONT)
            await asyncio.sleep(BETWEEN_PAUSES)

    async with going_on(pause_on):
        yield


@provokes("EventsStuckInHandling", "QueueBacklog")
async def event_in_other_hands(stage: Stage) -> AsyncIterator[None]:
    """Somebody's session holds the inbox row of an event that a thousand messages bring to orders."""
    product_id = uuid4().int % 10**9 + 10**9
    event = ProductDeleted(product_id=product_id, sku="GONE", name="x", price=Money(amount=1, currency="CNY"), revision=1)
    envelope = Envelope(uuid4().hex, f"{OURS}inventory", event.type, event.subject, datetime.now(UTC))
    body, content_type = codec.join([codec.encode(event, envelope)])
    async with stage.scene.servers.connection() as connection, connection.transaction():
        slot = slot_of(envelope, datetime.now(UTC))
        key = key_of(envelope, await connection.fetchval("SELECT max(alone_since) FROM orders.release"))
        await connection.execute("INSERT INTO orders.inbox (key, slot) VALUES ($1, $2)", key, slot)
        for _ in range(MANY_MESSAGES):
            await stage.scene.shoppers.publish(body, "orders.product.deleted", content_type, to_queue=True)
        yield


@provokes("PartnerSilent", "PartnerFailing")
async def partner_silent(stage: Stage) -> AsyncIterator[None]:
    """Stripe answers no call in time, and carries out none."""
    fault = {"partner": "stripe", "latency_ms": 1500, "error_rate": 1.0}
    (await stage.scene.sandbox.post("/sandbox/faults", json=fault)).raise_for_status()
    try:
        async with going_on(buying(stage, OWN_FLEET, 0.5)):
            yield
    finally:
        await stage.scene.sandbox.delete("/sandbox/faults")


@provokes("CallsOverdue")
async def intent_locked(stage: Stage) -> AsyncIterator[None]:
    """A payment is to be asked for, and somebody's session holds its row: who claims intents skips it."""
    async with held_when_due(stage.scene, "payments.payment", "due_at", "order_id", stage.wanted.unpaid):
        yield


@provokes("TimersOverdue")
async def due_row_locked(stage: Stage) -> AsyncIterator[None]:
    """A delivered order's return window is over, and somebody's session holds its row."""
    async with held_when_due(stage.scene, "orders.orders", "complete_at", "id", stage.wanted.delivered):
        yield


@provokes("PaymentsFailing")
async def channel_refuses(stage: Stage) -> AsyncIterator[None]:
    """A shop sends orders to be paid by a channel that is not offered."""
    async with going_on(buying(stage, NOT_OFFERED, 0.5)):
        yield


@provokes("StockOuts")
async def shelf_empty(stage: Stage) -> AsyncIterator[None]:
    """Shoppers buy what is not there."""
    async with going_on(buying(stage, EMPTY_SHELF, 1)):
        yield


@provokes("OrdersHeldLong", is_robust=True)
async def order_held_for_a_day(stage: Stage) -> AsyncIterator[None]:
    """An order of a thousand and one pieces waits for a person, and was placed yesterday: its time is moved back."""
    await stage.scene.servers.fetch(
        "UPDATE orders.orders SET placed_at = placed_at - interval '25 hours' WHERE id = $1", stage.wanted.held
    )
    yield
    (await stage.client.post(f"{stage.url('orders')}/api/orders/{stage.wanted.held}/cancel")).raise_for_status()


@provokes("RedisUnreachable")
async def redis_gone(stage: Stage) -> AsyncIterator[None]:
    """Redis is killed and not started again, while orders come."""
    async with stage.scene.servers.without("redis"), going_on(buying(stage, EMPTY_SHELF, 0.5)):
        yield


@provokes("AuditViolations", lane="audit")
async def shelf_put_wrong(stage: Stage) -> AsyncIterator[None]:
    """Somebody puts a piece on a shelf by SQL, and nothing in the books says why."""
    change = "UPDATE inventory.shelf SET on_hand = on_hand {} 1 WHERE sku = $1"
    await stage.scene.servers.fetch(change.format("+"), stage.wanted.unsold)
    yield
    await stage.scene.servers.fetch(change.format("-"), stage.wanted.unsold)


@provokes("AuditSilent", lane="audit", is_robust=True)
async def audit_stopped(stage: Stage) -> AsyncIterator[None]:
    """Who audits gets SIGSTOP: no audit is finished, and Prometheus cannot ask for the last one either."""
    os.kill(stage.auditor, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(stage.auditor, signal.SIGCONT)


@provokes("RabbitMQBlocksPublishers", "OutboxStuck", alone=True, hushes=True)
async def rabbitmq_without_memory(stage: Stage) -> AsyncIterator[None]:
    """The broker is out of memory and blocks whoever publishes, while orders come over HTTP."""
    async with stage.scene.servers.without_memory():
        stage.scene.buy(ON_ACCOUNT, 5)
        yield


@provokes("RabbitMQDown", alone=True, hushes=True)
async def rabbitmq_gone(stage: Stage) -> AsyncIterator[None]:
    """The broker is killed and not started again."""
    async with stage.scene.servers.without("rabbitmq"):
        yield
    await stage.scene.fleet.ready()


@provokes("PostgresUnreachable", alone=True, hushes=True)
async def postgres_gone(stage: Stage) -> AsyncIterator[None]:
    """Postgres is stopped at once and not started again."""
    async with stage.scene.servers.without("postgres"):
        yield
    await stage.scene.fleet.ready()


@asynccontextmanager
async def going_on(*does: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Beside the block, again and again."""
    tasks = [asyncio.ensure_future(each()) for each in does]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def buying(stage: Stage, kind: Kind, per_second: float) -> Callable[[], Awaitable[None]]:
    """Shoppers who all want the same."""

    async def buy_on() -> None:
        while True:
            stage.scene.buy(kind)
            await asyncio.sleep(1 / per_second)

    return buy_on


@asynccontextmanager
async def held_when_due(scene: Scene, table: str, due: str, key: str, id: str) -> AsyncIterator[None]:
    """In the block the row is due, and locked: whoever claims due rows skips it."""
    async with scene.servers.connection() as before, scene.servers.connection() as holder, holder.transaction():
        async with before.transaction():  # from one hand to the other: the row is never due and free
            await before.execute(f"UPDATE {table} SET {due} = now() - interval '2 minutes' WHERE {key} = $1", id)
            holding = asyncio.create_task(holder.fetchval(f"SELECT {due} < now() FROM {table} WHERE {key} = $1 FOR UPDATE", id))
            waits = "SELECT TRUE FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'"
            while not await scene.servers.fetch(waits, holder.get_server_pid()):
                await asyncio.sleep(0.05)
        assert await holding, f"{table} {id} was dealt with before it could be locked"
        yield
