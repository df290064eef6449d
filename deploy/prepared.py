"""Waits until `deploy.prepare` has made what this version of a service needs.

`python -m deploy.prepared SERVICE` enters Postgres as the service itself (ORDERBUS_POSTGRES_URL, or …_FILE) and ends when the
schema has every migration of this version and the bus has its queues. So a new version and the Job that prepares for it can be
applied together, in any order: the old processes go on until then.
"""

import asyncio
import sys

import asyncpg

from deploy import migrations
from deploy.prepare import secret
from deploy.rabbitmq import topology
from deploy.services import SERVICES


async def lacking(postgres_url: str, service: str) -> str | None:
    """What is not there yet, in words; None when all of it is. Raises OSError and asyncpg's errors when nobody lets it look."""
    connection = await asyncpg.connect(postgres_url, timeout=5)
    try:
        applied = {row["name"] for row in await connection.fetch(f"SELECT name FROM {service}.migration")}
        # kept once the topology is declared
        types = {row["type"] for row in await connection.fetch(f"SELECT type FROM {service}.subscribed_type")}
    finally:
        await connection.close()
    names = [migrations.name_of(file) for file in migrations.files(service)]
    missing = [name for name in names if name not in applied] + sorted(topology.subscribed_types(SERVICES.values()) - types)
    return ", ".join(missing) or None


async def wait(postgres_url: str, service: str) -> None:
    """However long it takes; each new reason is said once."""
    said = None
    while True:
        try:
            reason = await lacking(postgres_url, service)
        except (OSError, asyncpg.PostgresError) as error:
            reason = f"{type(error).__name__}: {error}"
        if reason is None:
            return
        if reason != said:
            print(f"{service} waits for deploy.prepare: {reason}", flush=True)
        said = reason
        await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(wait(secret("ORDERBUS_POSTGRES_URL"), sys.argv[1]))
