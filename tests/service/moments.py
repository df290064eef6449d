"""Two transactions that meet."""

import asyncio

from shared.database import Database


async def until_one_waits(database: Database) -> None:
    """Until a transaction in the service's database waits for another."""
    while not await database.pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ):
        await asyncio.sleep(0.01)
