"""The machine's floor: what RabbitMQ, Postgres and Python can carry here with no business logic at all.

Four processes stand for orders, inventory, payments and logistics. Each consumes its events in batches, commits inbox,
state and outbox in one transaction, publishes what follows with confirms, and acknowledges. An order goes through
order.submitted, order.placed, stock.reserved, payment.captured, order.paid, shipment.created, tracking.pushed.

    ORDERBUS_POSTGRES_URL=… ORDERBUS_RABBITMQ_URL=… python -m tests.load.floor [--orders 20000]

Needs an administrator's URLs: it makes and drops its own schemas floor_*. Prints one JSON object. Compare only figures of
the same run on the same machine.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import time
import uuid
from multiprocessing.synchronize import Semaphore
from typing import Any

import aio_pika
import asyncpg
import orjson
import uvloop
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

FLOW: dict[str, dict[str, list[str]]] = {  # service: event consumed: events that follow
    "orders": {
        "order.submitted": ["order.placed"],
        "payment.captured": ["order.paid"],
        "shipment.created": [],
        "tracking.pushed": [],
    },
    "inventory": {"order.placed": ["stock.reserved"], "order.paid": []},
    "payments": {"stock.reserved": ["payment.captured"]},
    "logistics": {"order.paid": ["shipment.created", "tracking.pushed"]},
}
BODY = {
    "lines": [{"sku": "SKU-1", "qty": 2, "price": 29900}] * 3,
    "ship_to": {"name": "x", "country": "CN", "line": "y" * 30},
}
EXCHANGE = "floor.events"
MAX_EVENTS = 2_000
"""In one message: a megabyte of the four that this project's broker takes."""
TOGETHER = 50
"""Orders that the client sends in one message."""

FloorEvent = dict[str, Any]


async def serve(name: str, postgres_url: str, rabbitmq_url: str, ready: Semaphore) -> None:
    """One of the four, until its process is ended."""
    connection = await aio_pika.connect(rabbitmq_url)
    consumer, publisher = await connection.channel(), await connection.channel(publisher_confirms=True)
    await consumer.set_qos(400)
    exchange = await publisher.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
    queue = await consumer.declare_queue(f"floor.{name}", durable=True, arguments={"x-queue-type": "quorum"})
    await queue.purge()
    for event_type in FLOW[name]:
        await queue.bind(exchange, event_type)
    pool = await asyncpg.create_pool(postgres_url, min_size=4, max_size=4)
    await pool.execute(
        f"""
        DROP SCHEMA IF EXISTS floor_{name} CASCADE; CREATE SCHEMA floor_{name};
        CREATE TABLE floor_{name}.inbox (id uuid PRIMARY KEY);
        CREATE TABLE floor_{name}.entity (id uuid PRIMARY KEY, state text, body jsonb, at timestamptz DEFAULT now());
        CREATE TABLE floor_{name}.outbox (id uuid PRIMARY KEY, type text, body jsonb);
        """
    )
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    await queue.consume(arrived.put)
    ready.release()
    while True:
        messages = [await arrived.get()]
        await asyncio.sleep(0.003)
        while not arrived.empty() and len(messages) < 200:
            messages.append(arrived.get_nowait())
        await _handle(name, messages, pool, exchange)
        await messages[-1].ack(multiple=True)


async def _handle(name: str, messages: list[AbstractIncomingMessage], pool: asyncpg.Pool, exchange: AbstractExchange) -> None:
    events: list[FloorEvent] = [event for message in messages for event in orjson.loads(message.body)]
    following: list[FloorEvent] = [
        {"id": str(uuid.uuid5(uuid.UUID(e["id"]), t)), "type": t, "subject": e["subject"], "data": e["data"]}
        for e in events
        for t in FLOW[name][e["type"]]
    ]
    latest = {e["subject"]: e for e in events}
    async with pool.acquire() as db:
        async with db.transaction():
            await db.fetch(
                f"INSERT INTO floor_{name}.inbox SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING id",
                [e["id"] for e in events],
            )
            await db.execute(
                f"""
                INSERT INTO floor_{name}.entity (id, state, body)
                SELECT i, s, b::jsonb FROM unnest($1::uuid[], $2::text[], $3::text[]) x (i, s, b)
                ON CONFLICT (id) DO UPDATE SET state = excluded.state
                """,
                list(latest),
                [e["type"] for e in latest.values()],
                [orjson.dumps(e["data"]).decode() for e in latest.values()],
            )
            if following:
                await db.execute(
                    f"""
                    INSERT INTO floor_{name}.outbox (id, type, body)
                    SELECT i, t, b::jsonb FROM unnest($1::uuid[], $2::text[], $3::text[]) x (i, t, b)
                    """,
                    [e["id"] for e in following],
                    [e["type"] for e in following],
                    [orjson.dumps(e["data"]).decode() for e in following],
                )
        if following:
            await _publish(exchange, following)
            await db.execute(f"DELETE FROM floor_{name}.outbox WHERE id = any($1::uuid[])", [e["id"] for e in following])


async def _publish(exchange: AbstractExchange, events: list[FloorEvent]) -> None:
    """The events of a type go in one message, up to what a broker takes: on a slow moment thousands gather."""
    by_type: dict[str, list[FloorEvent]] = {}
    for event in events:
        by_type.setdefault(event["type"], []).append(event)
    await asyncio.gather(
        *(
            exchange.publish(_message(together[start : start + MAX_EVENTS]), event_type)
            for event_type, together in by_type.items()
            for start in range(0, len(together), MAX_EVENTS)
        )
    )


def _message(events: list[FloorEvent]) -> aio_pika.Message:
    return aio_pika.Message(orjson.dumps(events), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)


async def drive(postgres_url: str, rabbitmq_url: str, orders: int, patience: float) -> float:
    """Send so many orders; the seconds until the last has gone through. Raises SystemExit when that takes too long."""
    connection = await aio_pika.connect(rabbitmq_url)
    channel = await connection.channel()
    exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
    events: list[FloorEvent] = [
        {"id": str(uuid.uuid4()), "type": "order.submitted", "subject": str(uuid.uuid4()), "data": BODY} for _ in range(orders)
    ]
    db = await asyncpg.connect(postgres_url)
    started = time.perf_counter()
    for i in range(0, orders, TOGETHER):
        await exchange.publish(_message(events[i : i + TOGETHER]), "order.submitted")
    while await db.fetchval("SELECT count(*) FROM floor_orders.inbox") < 4 * orders:
        if time.perf_counter() - started > patience:
            raise SystemExit("the floor did not finish in time")
        await asyncio.sleep(0.05)
    return time.perf_counter() - started


async def clear(postgres_url: str, rabbitmq_url: str) -> None:
    """Leave nothing behind."""
    async with await aio_pika.connect(rabbitmq_url) as connection:
        channel = await connection.channel()
        for name in FLOW:
            await channel.queue_delete(f"floor.{name}")
        await channel.exchange_delete(EXCHANGE)
    db = await asyncpg.connect(postgres_url)
    for name in FLOW:
        await db.execute(f"DROP SCHEMA IF EXISTS floor_{name} CASCADE")
    await db.close()


def _serve(name: str, postgres_url: str, rabbitmq_url: str, ready: Semaphore) -> None:
    uvloop.run(serve(name, postgres_url, rabbitmq_url, ready))


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--patience", type=float, default=120)
    args = parser.parse_args()
    urls = os.environ["ORDERBUS_POSTGRES_URL"], os.environ["ORDERBUS_RABBITMQ_URL"]
    ready = multiprocessing.Semaphore(0)
    processes = [multiprocessing.Process(target=_serve, args=(name, *urls, ready), daemon=True) for name in FLOW]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    try:
        seconds = uvloop.run(drive(*urls, args.orders, args.patience))
    finally:
        for process in processes:
            process.terminate()
            process.join()
        uvloop.run(clear(*urls))
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = round(usage.ru_utime + usage.ru_stime, 3)
    rate = round(args.orders / seconds, 1)
    print(json.dumps({"orders": args.orders, "seconds": round(seconds, 3), "orders_per_second": rate, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
