"""Postgres goes away, or is there and of no use."""

import asyncio
from contextlib import suppress

import asyncpg

from deploy.stack.credentials import SERVICES
from tests.faults.proxy import LostAnswers
from tests.faults.purchases import Kind
from tests.faults.scene import Scene, fault

ON_ACCOUNT = Kind("invoice", channel="invoice", token=None)


@fault("postgres")
async def postgres_restart(scene: Scene) -> int:
    """Postgres is stopped at once, in the middle of everything, and comes back."""
    times = int(scene.long(1, 3))
    for _ in range(times):
        await scene.some_time(1, 1)
        async with scene.servers.without("postgres"):
            pass
        await scene.fleet.ready()
    return times


@fault("postgres", rate=12)
async def postgres_connections_cut(scene: Scene) -> int:
    """Every connection of the services is ended by the server, several times."""
    struck = 0
    for _ in range(int(scene.long(3, 10))):
        rows = await scene.servers.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'orderbus-%'"
        )
        struck += len(rows)
        await scene.some_time(1, 2)
    return struck


@fault("postgres")
async def postgres_pool_exhausted(scene: Scene) -> int:
    """Tables are locked until every pool is used up, then the server's last connection is taken and no pool can grow."""
    async with scene.servers.locked("orders.orders", "inventory.reservation"):
        scene.buy(ON_ACCOUNT, 20)
        await asyncio.sleep(scene.long(1, 8))  # for as long as that, nobody gets a row
    taken = await _take_all(scene)
    try:
        with suppress(asyncpg.PostgresError):
            await taken[0].execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'orderbus-%'"
            )
            taken += await _take_all(scene)
        scene.buy(ON_ACCOUNT, 5)
        await asyncio.sleep(scene.long(1, 8))
    finally:
        await asyncio.gather(*(connection.close() for connection in taken), return_exceptions=True)
    return 2


@fault("postgres", rate=4)
async def postgres_slow(scene: Scene) -> int:
    """Each answer, and each question, takes a tenth of a second on its way."""
    links = scene.fleet.links("postgres")
    for link in links:
        link.latency = 0.1
    await scene.some_time(int(scene.long(3, 20)), scene.long(5, 30))
    return len(links)


@fault("postgres")
async def postgres_read_only(scene: Scene) -> int:
    """Transactions are read-only for a while: nothing can be written, nothing may be acknowledged."""
    await scene.servers.sql("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    try:
        scene.buy(ON_ACCOUNT, 3)
        await asyncio.sleep(scene.long(1.5, 10))
    finally:
        await scene.servers.sql("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
    return 1


@fault("postgres")
async def postgres_disk_full(scene: Scene) -> int:
    """Each COMMIT fails with disk_full: a deferred constraint trigger on every inbox, outbox and key says so."""
    await scene.servers.sql(
        "CREATE SCHEMA IF NOT EXISTS faults",
        "GRANT USAGE ON SCHEMA faults TO PUBLIC",
        """
        CREATE OR REPLACE FUNCTION faults.disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'could not extend file: no space left on device' USING ERRCODE = 'disk_full'; END $$
        """,
    )
    tables = [f"{service}.{table}" for service in SERVICES for table in ("inbox", "outbox", "idempotency_key")]
    try:
        for table in tables:
            await scene.servers.sql(
                _locked_first(
                    table,
                    f"CREATE CONSTRAINT TRIGGER disk_full AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED"
                    " FOR EACH ROW EXECUTE FUNCTION faults.disk_full()",
                )
            )
        scene.buy(ON_ACCOUNT, 3)
        await asyncio.sleep(scene.long(1.5, 10))
    finally:
        for table in tables:
            await scene.servers.sql(_locked_first(table, f"DROP TRIGGER IF EXISTS disk_full ON {table}"))
    return len(tables)


def _locked_first(table: str, change: str) -> str:
    """A change to a table while services write to it. It would lock the partitions before the table they are of, and an
    insert does so the other way round."""
    return f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; {change}; COMMIT"


@fault("postgres", rate=12)
async def commit_cut(scene: Scene) -> int:
    """The connection breaks during COMMIT: half of them have happened, half have not, and nobody is told."""
    struck = 0
    for before in (False, True):
        taps = []
        for link in scene.fleet.links("postgres"):
            link.tap = tap = LostAnswers(b"COMMIT", int(scene.long(3, 20)), before=before)
            taps.append(tap)
        await scene.some_time(4, scene.long(4, 20))
        struck += sum(tap.struck for tap in taps)
    return struck


async def _take_all(scene: Scene) -> list[asyncpg.Connection]:
    """Connections until there are no more."""
    taken: list[asyncpg.Connection] = []
    with suppress(asyncpg.TooManyConnectionsError, asyncpg.CannotConnectNowError):
        while True:
            taken.append(await asyncpg.connect(scene.servers.postgres_url, timeout=10))
    return taken
