"""Makes the servers ready for the services: a role and a migrated schema each, then the RabbitMQ topology.

`python -m deploy.prepare` reads ORDERBUS_POSTGRES_URL and ORDERBUS_RABBITMQ_URL (an administrator's) and each role's
password from ORDERBUS_<SERVICE>_DB_PASSWORD (or …_FILE). Safe to repeat, and when several start at once.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from deploy.migrations import LOCK, migrate
from deploy.rabbitmq import topology
from deploy.services import SERVICES


def role_name(database: str, service: str) -> str:
    """Roles belong to the whole server, so they carry the database's name: two installations do not collide."""
    return f"{database}_{service}"


async def prepare(superuser_url: str, rabbitmq_url: str, role_passwords: Mapping[str, str]) -> None:
    """Idempotent. The topology comes first: an outbox must not be relayed into nothing."""
    await topology.declare(rabbitmq_url, SERVICES.values())
    connection = await asyncpg.connect(superuser_url, timeout=10)
    try:
        for name in SERVICES:
            await migrate(connection, name)
            await _keep_subscribed_types(connection, name)
            await _let_in(connection, name, role_passwords[name])
    finally:
        await connection.close()


async def _keep_subscribed_types(connection: asyncpg.Connection, service: str) -> None:
    types = sorted(topology.subscribed_types(SERVICES.values()))
    async with connection.transaction():
        await connection.execute(f"DELETE FROM {service}.subscribed_type WHERE type <> all($1)", types)
        await connection.execute(f"INSERT INTO {service}.subscribed_type SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", types)


async def _let_in(connection: asyncpg.Connection, service: str, password: str) -> None:
    """A login role that can read and write its own schema's rows, and nothing else: it owns nothing."""
    database = await connection.fetchval("SELECT current_database()")
    role = role_name(database, service)
    quoted_password = await connection.fetchval("SELECT quote_literal($1::text)", password)
    async with connection.transaction():
        # grants of two at once on the same schema fail with "tuple concurrently updated"
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        if not await connection.fetchval("SELECT TRUE FROM pg_roles WHERE rolname = $1", role):
            await connection.execute(f'CREATE ROLE "{role}" LOGIN')
        await connection.execute(
            f"""
            ALTER ROLE "{role}" PASSWORD {quoted_password};
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            GRANT CONNECT ON DATABASE "{database}" TO "{role}";
            GRANT USAGE ON SCHEMA {service} TO "{role}";
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {service} TO "{role}";
            REVOKE INSERT, UPDATE, DELETE ON {service}.migration, {service}.subscribed_type FROM "{role}";
            GRANT USAGE ON ALL SEQUENCES IN SCHEMA {service} TO "{role}";
            """
        )


def _secret(name: str) -> str:
    if path := os.environ.get(f"{name}_FILE"):
        return Path(path).read_text().strip()
    if name not in os.environ:
        sys.exit(f"{name} (or {name}_FILE) is not set")
    return os.environ[name]


def main() -> None:
    """The one-shot container's command."""
    passwords = {name: _secret(f"ORDERBUS_{name.upper()}_DB_PASSWORD") for name in SERVICES}
    url = _secret("ORDERBUS_POSTGRES_URL")
    asyncio.run(prepare(url, _secret("ORDERBUS_RABBITMQ_URL"), passwords))
    print(f"prepared {urlsplit(url).path.lstrip('/')}: {', '.join(SERVICES)}")


if __name__ == "__main__":
    main()
