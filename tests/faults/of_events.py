"""Events as one would rather not have them."""

import asyncio

import orjson

from deploy.stack.credentials import SERVICES
from shared.codec import BATCH
from tests.faults.detour import a_detour
from tests.faults.purchases import BURIED, EXTERNAL, Kind, Purchase
from tests.faults.scene import Scene, fault
from tests.faults.witness import Heard

THREE_TIMES = Kind("order.paid, three times", way="paid", copies=3)
BY_HAND = Kind("order.paid, sent by the fault", way="by hand")


@fault("events")
async def events_duplicated(scene: Scene) -> int:
    """Every event of every service, each message three times."""
    begun = len(scene.witness.messages)
    bought = scene.buy(THREE_TIMES, int(scene.long(3, 20)))
    await scene.shoppers.acknowledged(bought)
    await scene.some_time(int(scene.long(6, 30)), 20)

    async def are_at_the_door() -> bool:
        return all(scene.witness.said(str(purchase.order_id), "tracking.pushed") for purchase in bought)

    # then all that is ever said of an order comes again, beside what is said of those that are still on their way
    await scene.until(are_at_the_door, 30, "what was paid three times was not shipped")
    messages: list[Heard] = scene.witness.messages[begun:]
    for _ in range(2):
        for message in messages:
            await scene.shoppers.publish(message.body, message.event_type, message.content_type)
    return 2 * len(messages)


@fault("events")
async def events_reordered(scene: Scene) -> int:
    """Each event reaches each of its queues after a time of its own: across types and services nothing is in sequence."""
    longest = scene.long(1.2, 8)
    async with a_detour(scene.servers.rabbitmq_url, lambda: scene.chance.uniform(0, longest)) as detour:
        await scene.shoppers.acknowledged(scene.buy(EXTERNAL, int(scene.long(4, 30))))
        await scene.some_time(int(scene.long(8, 100)), scene.long(8, 40))
        await asyncio.sleep(longest)  # the first of them have come some steps further
    return detour.brought


@fault("events", rate=3)
async def events_delayed(scene: Scene) -> int:
    """Each event comes late, some by minutes."""
    longest = scene.long(3, 90)
    async with a_detour(scene.servers.rabbitmq_url, lambda: longest * scene.chance.random() ** 3) as detour:
        await scene.some_time(int(scene.long(5, 30)), scene.long(8, 60))
    return detour.brought


@fault("events")
async def events_truncated(scene: Scene) -> int:
    """Half of an event, then the whole of it: the half is kept for a person, the order is shipped."""
    purchases = _by_hand(scene, int(scene.long(2, 10)))
    for purchase in purchases:
        whole = orjson.dumps(purchase.event())
        half = whole[: len(whole) // 2]
        await _send(scene, half, [])
        await _send(scene, whole, [purchase])
        await _is_kept(scene, half)
    return len(purchases)


@fault("events")
async def events_unknown_type(scene: Scene) -> int:
    """An event of a type that nobody has defined, alone and between good ones: it is kept for a person."""
    purchases = _by_hand(scene, 4)
    stranger = {**purchases[0].event(), "id": f"x-{purchases[0].reference}", "type": "order.exploded"}
    await _send(scene, orjson.dumps(stranger), [])
    good = [purchase.event() for purchase in purchases]
    await _send(scene, orjson.dumps([*good[:2], stranger, *good[2:]]), purchases, BATCH)
    await _is_kept(scene, orjson.dumps(stranger))
    return 2


@fault("events")
async def events_newer_version(scene: Scene) -> int:
    """An event of a newer minor version, with fields and attributes that are not known yet, is understood."""
    purchases = _by_hand(scene, 3)
    for purchase in purchases:
        event = purchase.event(dataschema="urn:orderbus:order.paid:1.7", sampledrate=7, shoptier="gold")
        event["data"] |= {"gift_wrapping": {"colour": "red"}, "loyalty_points": 12}
        event["data"]["customer"] |= {"birthday": "--11-24"}
        await _send(scene, orjson.dumps(event), [purchase])
    return len(purchases)


@fault("events")
async def events_huge(scene: Scene) -> int:
    """An event of a megabyte is kept for a person, or handled; its neighbours do not notice."""
    purchases = _by_hand(scene, 2)
    for purchase in purchases:
        event = purchase.event()
        event["data"]["customer"] |= {"remarks": "x" * 1024 * 1024}
        await _send(scene, orjson.dumps(event), [purchase])
    return len(purchases)


@fault("events", is_random=False)
async def events_poisonous(scene: Scene) -> int:
    """One of a batch of ten always raises: nine are done, it is kept with its reason, and succeeds once when mended."""
    purchases = _by_hand(scene, 10)
    poison = scene.chance.choice(purchases)
    await _prepare(scene, "poison", "RAISE EXCEPTION 'this one is poisonous'", poison)
    try:
        await _send(scene, orjson.dumps([purchase.event() for purchase in purchases]), purchases, BATCH)
        others = [purchase for purchase in purchases if purchase is not poison]

        async def are_done() -> bool:
            return len(await scene.status(others)) == len(others)

        await scene.until(are_done, 20, "the neighbours of a poisonous event were not handled")

        async def is_kept() -> bool:
            rows = await scene.servers.fetch(
                "SELECT reason, stack FROM orders.dead_letter WHERE event_id = $1", f"paid-{poison.reference}"
            )
            return bool(rows) and "poisonous" in rows[0]["reason"] and bool(rows[0]["stack"])

        await scene.until(is_kept, 20, "a poisonous event is not kept with its reason and stack")
    finally:
        await scene.servers.sql("DROP TRIGGER poison ON orders.orders")
    return 1


@fault("events", is_random=False)
async def events_killing(scene: Scene) -> int:
    """Whoever handles a certain event dies of it, each time, until the broker gives it up; its neighbours are handled."""
    (killer,) = _by_hand(scene, 1)
    killer.ends = frozenset({BURIED})
    neighbours = _by_hand(scene, 9)
    limit = "delivery-limit"
    pattern = "^orders.order.paid$"
    await _prepare(scene, "killing", f"PERFORM pg_advisory_xact_lock({LOCK})", killer)
    await scene.servers.rabbitmqctl(
        "set_policy", "--apply-to", "queues", "faults", pattern, orjson.dumps({limit: int(scene.long(6, 10))}).decode()
    )
    killed = 0
    try:
        async with scene.servers.connection() as connection:
            await connection.execute(f"SELECT pg_advisory_lock({LOCK})")
            for each in (killer, *neighbours):
                await _send(scene, orjson.dumps(each.event()), [each])
            # whoever died is started again each time, which takes seconds
            async with asyncio.timeout(180):
                while not await _is_buried(scene, killer):
                    killed += await _kill_who_waits(scene)
                    await asyncio.sleep(0.05)

            async def are_done() -> bool:
                return len(await scene.status(neighbours)) == len(neighbours)

            await scene.until(are_done, 30, "the neighbours of a killing event were not handled")
    finally:
        await scene.servers.sql("DROP TRIGGER killing ON orders.orders")
        await scene.servers.rabbitmqctl("clear_policy", "faults")
    await scene.fleet.ready()
    return killed


LOCK = 77_2026


async def _kill_who_waits(scene: Scene) -> int:
    """SIGKILL to the process that handles the event right now: it waits for a lock that only the suite has."""
    rows = await scene.servers.fetch(
        "SELECT a.client_port, a.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        f" WHERE l.locktype = 'advisory' AND l.objid = {LOCK} AND NOT l.granted"
    )
    killed = sum(scene.fleet.kill_who_holds(row["client_port"]) for row in rows)
    for row in rows:  # a server process that waits for a lock does not notice that its client is gone
        await scene.servers.fetch("SELECT pg_terminate_backend($1)", row["pid"])
    return killed


async def _is_buried(scene: Scene, purchase: Purchase) -> bool:
    rows = await scene.servers.fetch("SELECT reason FROM orders.dead_letter WHERE event_id = $1", f"paid-{purchase.reference}")
    return bool(rows)


async def _prepare(scene: Scene, name: str, does: str, purchase: Purchase) -> None:
    """Postgres does this when orders keeps this purchase: from outside, and in the middle of the handler."""
    await scene.servers.sql(
        "CREATE SCHEMA IF NOT EXISTS faults",
        "GRANT USAGE ON SCHEMA faults TO PUBLIC",
        f"CREATE OR REPLACE FUNCTION faults.{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN NEW; END $$",
        f"CREATE TRIGGER {name} BEFORE INSERT ON orders.orders FOR EACH ROW"
        f" WHEN (NEW.id = '{purchase.reference}') EXECUTE FUNCTION faults.{name}()",
    )


def _by_hand(scene: Scene, count: int) -> list[Purchase]:
    """Purchases that the fault itself hands in."""
    return [scene.catalogue.purchase(BY_HAND) for _ in range(count)]


async def _send(scene: Scene, body: bytes, purchases: list[Purchase], content_type: str = "") -> None:
    """Until it is confirmed; then these purchases are acknowledged."""
    scene.shoppers.note(purchases)
    await scene.shoppers.publish(body, "order.paid", content_type or "application/cloudevents+json")
    scene.shoppers.confirm(purchases)


async def _is_kept(scene: Scene, body: bytes) -> None:
    """By each service that hears order.paid, as it came."""
    for service in SERVICES:
        if service == "payments":
            continue

        async def is_kept(service: str = service) -> bool:
            rows = await scene.servers.fetch(f"SELECT reason FROM {service}.dead_letter WHERE body = $1", body)
            return bool(rows) and bool(rows[0]["reason"])

        await scene.until(is_kept, 20, f"{service} has not kept what it could not read")
