"""Makes the servers ready for the services: RabbitMQ's topology and a user each, then a role and a migrated schema each.

`python -m deploy.prepare` reads ORDERBUS_POSTGRES_URL, ORDERBUS_RABBITMQ_URL and ORDERBUS_RABBITMQ_MANAGEMENT_URL (an
administrator's) and each service's passwords from ORDERBUS_<SERVICE>_DB_PASSWORD and ORDERBUS_<SERVICE>_BUS_PASSWORD (or
…_FILE). With ORDERBUS_WATCHER_BUS_PASSWORD an autoscaler's user is made on the bus too. Safe to repeat, and when several
start at once.
"""

import asyncio
import base64
import hashlib
import hmac
import os
import secrets
import stringprep
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from aio_pika.exceptions import AMQPError, ProbableAuthenticationError
from aiormq.exceptions import InvalidFrameError

from deploy.migrations import LOCK, MigrationChanged, migrate
from deploy.rabbitmq import access, topology
from deploy.rabbitmq.management import Management, ManagementError
from deploy.services import SERVICES
from deploy.stack import urls

ADMINISTRATORS = "{variable} is to name an administrator and the password"
REMEDIES: Sequence[tuple[type[Exception], str]] = (
    (asyncpg.InvalidAuthorizationSpecificationError, ADMINISTRATORS),
    (ProbableAuthenticationError, ADMINISTRATORS),
    (asyncpg.InsufficientPrivilegeError, "{variable} is to name a superuser, or the database's owner with CREATEROLE"),
    (asyncpg.InvalidCatalogNameError, "create the database, or name another in {variable}"),
    (asyncpg.LockNotAvailableError, "somebody's transaction holds a table: end it, and prepare again"),
    (InvalidFrameError, "there is no such vhost, or the user of {variable} may not enter it"),
    (OSError, "{variable} says where it is"),
)
"""What would be right, by what a server has said; the first that fits."""

DECISIONS = "dead_letter_decision"
APPEND_ONLY: Mapping[str, Sequence[str]] = {
    "orders": ("timeline", DECISIONS),
    "inventory": ("movement", DECISIONS),
    "payments": ("ledger_entry", "ledger_return", DECISIONS),
    "logistics": (DECISIONS,),
}
"""What is on record is added to by its service, and neither changed nor taken away: not even by one that was taken over."""

# What an earlier version made as whoever ran it. A table takes the sequences of its own columns along.
_NOT_YET_THE_OWNERS = """
    WITH schema AS (SELECT * FROM pg_namespace WHERE nspname = $1), owner AS (SELECT oid FROM pg_roles WHERE rolname = $2)
    SELECT format('ALTER SCHEMA %I OWNER TO %I', $1::text, $2::text) AS sql
      FROM schema WHERE nspowner <> (SELECT oid FROM owner)
     UNION ALL
    SELECT format('ALTER TABLE %s OWNER TO %I', pg_class.oid::regclass, $2::text)
      FROM pg_class JOIN schema ON relnamespace = schema.oid
     WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND relowner <> (SELECT oid FROM owner)
       AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND relkind = 'S' AND deptype IN ('a', 'i'))
     UNION ALL
    SELECT format('ALTER ROUTINE %s OWNER TO %I', pg_proc.oid::regprocedure, $2::text)
      FROM pg_proc JOIN schema ON pronamespace = schema.oid WHERE proowner <> (SELECT oid FROM owner)
"""


class NotPrepared(Exception):
    """A server cannot be reached, or does not do what it is asked for; the message says which, where, and what would be right."""


def role_name(database: str, service: str) -> str:
    """Roles belong to the whole server, so they carry the database's name: two installations do not collide."""
    return f"{database}_{service}"


async def prepare(
    superuser_url: str,
    rabbitmq_url: str,
    role_passwords: Mapping[str, str],
    management_url: str | None,
    bus_passwords: Mapping[str, str],
    watcher_password: str | None = None,
) -> None:
    """Idempotent. The topology comes first: an outbox must not be relayed into nothing. Without a management URL no user
    is made on the bus. Raises NotPrepared, ManagementError and MigrationChanged."""
    with _telling("rabbitmq", rabbitmq_url):
        await topology.declare(rabbitmq_url, SERVICES.values())
    if management_url is not None:
        async with Management(management_url, rabbitmq_url) as broker:
            await access.let_in(broker, SERVICES.values(), bus_passwords)
            if watcher_password is not None:
                await access.let_watch(broker, watcher_password)
    with _telling("postgres", superuser_url):
        connection = await asyncpg.connect(superuser_url, timeout=10)
        try:
            owner = await _make_owner(connection)
            for name in SERVICES:
                await _migrate_as(owner, connection, name)
                await _keep_subscribed_types(connection, name)
                await _let_in(connection, name, role_passwords[name])
        finally:
            await connection.close()


@contextmanager
def _telling(server: str, url: str) -> Iterator[None]:
    """Why the server does not do what it is asked for becomes a NotPrepared."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, AMQPError, OSError) as error:
        name = {"postgres": "Postgres", "rabbitmq": "RabbitMQ"}[server]
        remedy = next((said for kind, said in REMEDIES if isinstance(error, kind)), "")
        said = [f"{name} at {urls.place(url)}: {str(error) or repr(error)}", remedy.format(variable=urls.variable(server))]
        raise NotPrepared("; ".join(filter(None, said))) from error


async def _make_owner(connection: asyncpg.Connection) -> str:
    """The role that owns the schemas and runs the migrations. Nobody can log in as it."""
    database = await connection.fetchval("SELECT current_database()")
    owner = role_name(database, "owner")
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        if not await connection.fetchval("SELECT TRUE FROM pg_roles WHERE rolname = $1", owner):
            await connection.execute(f'CREATE ROLE "{owner}" NOLOGIN')
        await connection.execute(
            f"""
            GRANT "{owner}" TO CURRENT_USER;
            GRANT CREATE ON DATABASE "{database}" TO "{owner}";
            """
        )
    return owner


async def _migrate_as(owner: str, connection: asyncpg.Connection, service: str) -> None:
    for statement in await connection.fetch(_NOT_YET_THE_OWNERS, service, owner):
        await connection.execute(statement["sql"])
    await connection.execute(f'SET ROLE "{owner}"')
    try:
        await migrate(connection, service)
    finally:
        await connection.execute("RESET ROLE")


async def _keep_subscribed_types(connection: asyncpg.Connection, service: str) -> None:
    types = sorted(topology.subscribed_types(SERVICES.values()))
    async with connection.transaction():
        await connection.execute(f"DELETE FROM {service}.subscribed_type WHERE type <> all($1)", types)
        await connection.execute(f"INSERT INTO {service}.subscribed_type SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", types)


async def _let_in(connection: asyncpg.Connection, service: str, password: str) -> None:
    """A login role that can read and write its own schema's rows, and nothing else: it owns nothing."""
    database = await connection.fetchval("SELECT current_database()")
    role = role_name(database, service)
    on_record = ", ".join(f"{service}.{table}" for table in APPEND_ONLY[service])
    async with connection.transaction():
        # grants of two at once on the same schema fail with "tuple concurrently updated"
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        if not await connection.fetchval("SELECT TRUE FROM pg_roles WHERE rolname = $1", role):
            await connection.execute(f'CREATE ROLE "{role}" LOGIN')
        # Postgres logs a statement that fails, whole: it is not told the password
        await connection.execute(f"ALTER ROLE \"{role}\" PASSWORD '{verifier(password)}'")
        await connection.execute(
            f"""
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            GRANT CONNECT ON DATABASE "{database}" TO "{role}";
            GRANT USAGE ON SCHEMA {service} TO "{role}";
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {service} TO "{role}";
            REVOKE INSERT, UPDATE, DELETE ON {service}.migration, {service}.subscribed_type FROM "{role}";
            REVOKE UPDATE, DELETE ON {on_record} FROM "{role}";
            GRANT USAGE ON ALL SEQUENCES IN SCHEMA {service} TO "{role}";
            """
        )


def verifier(password: str) -> str:
    """What Postgres keeps of a password, and lets in with (RFC 5803): it proves who knows it, and does not tell it."""
    salt, rounds = secrets.token_bytes(16), 4096
    salted = hashlib.pbkdf2_hmac("sha256", _prepared_as_clients_do(password).encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    kept = [base64.b64encode(each).decode() for each in (salt, stored, hmac.digest(salted, b"Server Key", "sha256"))]
    return f"SCRAM-SHA-256${rounds}:{kept[0]}${kept[1]}:{kept[2]}"


def _prepared_as_clients_do(password: str) -> str:
    """SASLprep (RFC 4013), which changes nothing of ASCII."""
    mapped = (" " if stringprep.in_table_c12(sign) else sign for sign in password if not stringprep.in_table_b1(sign))
    return unicodedata.normalize("NFKC", "".join(mapped))


def secret(name: str) -> str:
    found = optional_secret(name)
    if found is None:
        sys.exit(f"{name} (or {name}_FILE) is not set, or is empty")
    return found


def optional_secret(name: str) -> str | None:
    """None where nothing is said, and where what is said is empty: no user has an empty password, no server an empty address."""
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return os.environ.get(name) or None
    try:
        return Path(path).read_text().strip() or None
    except (OSError, ValueError):
        sys.exit(f"{name}_FILE: {path} cannot be read")


def main() -> None:
    """The one-shot container's command."""
    url, bus_url = secret("ORDERBUS_POSTGRES_URL"), secret("ORDERBUS_RABBITMQ_URL")
    management_url = optional_secret("ORDERBUS_RABBITMQ_MANAGEMENT_URL")
    roles = {name: secret(f"ORDERBUS_{name.upper()}_DB_PASSWORD") for name in SERVICES}
    users = {name: secret(f"ORDERBUS_{name.upper()}_BUS_PASSWORD") for name in SERVICES} if management_url else {}
    watcher = optional_secret("ORDERBUS_WATCHER_BUS_PASSWORD")
    for server, named in (("postgres", url), ("rabbitmq", bus_url)):
        if not urls.is_of_form(server, named):
            sys.exit(f"{urls.variable(server)} {urls.wanted(server)}")
    try:
        asyncio.run(prepare(url, bus_url, roles, management_url, users, watcher))
    except (NotPrepared, ManagementError, MigrationChanged) as error:
        sys.exit(str(error))
    print(f"prepared {urlsplit(url).path.lstrip('/')}: {', '.join(SERVICES)}")
    if not users:
        print("no ORDERBUS_RABBITMQ_MANAGEMENT_URL: no users were made on RabbitMQ")


if __name__ == "__main__":
    main()
