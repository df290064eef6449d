"""Plain SQL migrations, a schema a service: applied in the order of their names, each in a transaction, once.

A tool such as yoyo would bring a second Postgres driver for what is a lock, a table and a loop.
"""

from hashlib import sha256
from pathlib import Path

import asyncpg

ROOT = Path(__file__).parent.parent
LOCK = 0x6F726472  # "ordr": several may start at once, one migrates


class MigrationChanged(Exception):
    """A migration that was applied is no longer what it was; a change is a new file."""


def files(service: str) -> list[Path]:
    """What every service has, then the service's own."""
    return sorted((ROOT / "shared/migrations").glob("*.sql")) + sorted((ROOT / "services" / service / "migrations").glob("*.sql"))


def name_of(file: Path) -> str:
    """What an applied migration is recorded as: `orders/0001_orders.sql`."""
    return f"{file.parent.parent.name}/{file.name}"


async def migrate(connection: asyncpg.Connection, service: str) -> list[str]:
    """Bring the service's schema up to date; the names of what was applied.

    Services may run meanwhile: a file that cannot have a lock within five seconds fails and leaves no trace, those before it
    stay, and the next call goes on there. A file may ask `current_setting('orderbus.is_new')` whether the schema was empty.
    Raises asyncpg.LockNotAvailableError, and MigrationChanged.
    """
    await connection.execute("SELECT pg_advisory_lock($1, hashtext($2))", LOCK, service)
    try:
        known = await _applied(connection, service)
        applied = []
        for file in files(service):
            name, sql = name_of(file), file.read_text()
            checksum = sha256(sql.encode()).hexdigest()
            if name not in known:
                await _apply(connection, service, name, sql, checksum, is_new=not known)
                applied.append(name)
            elif known[name] != checksum:
                raise MigrationChanged(f"{name} was changed after it was applied to schema {service}: make a new file")
        return applied
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1, hashtext($2))", LOCK, service)


async def _applied(connection: asyncpg.Connection, service: str) -> dict[str, str]:
    """The checksums of what was applied, by name."""
    await connection.execute(
        f"""
        CREATE SCHEMA IF NOT EXISTS {service};
        CREATE TABLE IF NOT EXISTS {service}.migration (
            name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
        """
    )
    return {row["name"]: row["checksum"] for row in await connection.fetch(f"SELECT name, checksum FROM {service}.migration")}


async def _apply(connection: asyncpg.Connection, service: str, name: str, sql: str, checksum: str, *, is_new: bool) -> None:
    async with connection.transaction():
        await connection.execute(
            f"SET LOCAL search_path = {service}; SET LOCAL lock_timeout = '5s'; SET LOCAL orderbus.is_new = {is_new}"
        )
        await connection.execute(sql)
        await connection.execute("INSERT INTO migration (name, checksum) VALUES ($1, $2)", name, checksum)
