"""The database's part of a restore: it is filled beside the one that is there, and takes its place in one step."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg

from deploy.backup import dumping
from deploy.stack import urls
from deploy.stack.state import StackError

SERIALS_LEFT_OUT = 1_000_000
"""Numbers of our own fleet that may have been printed on parcels since the backup: none of them is given again."""

# an autovacuum makes room by itself; whoever may not see others' sessions whole sees at least their names
_SESSIONS = """
    SELECT coalesce(nullif(application_name, ''), backend_type, 'somebody') AS program, usename,
           coalesce(host(client_addr), 'the server itself') AS client, count(*)
      FROM pg_stat_activity
     WHERE datname = any($1) AND pid <> pg_backend_pid() AND backend_type IS DISTINCT FROM 'autovacuum worker'
     GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


async def load(dump: Path, url: str) -> None:
    """Into a database beside: a backup that cannot be read whole changes nothing. Raises StackError."""
    draft = _draft(url)
    async with _server(url) as server:
        await server.execute(f'DROP DATABASE IF EXISTS "{draft}"')
        await server.execute(f'CREATE DATABASE "{draft}"')
    beside = urlsplit(url)._replace(path=f"/{quote(draft, safe='')}").geturl()
    await asyncio.to_thread(dumping.load, dump, beside)
    connection = await asyncpg.connect(beside, timeout=10)
    try:
        await connection.execute(
            f"SELECT setval('logistics.fleet_serial', nextval('logistics.fleet_serial') + {SERIALS_LEFT_OUT})"
        )
    finally:
        await connection.close()


async def must_be_unused(url: str) -> None:
    """Raises StackError, which says who is connected."""
    async with _server(url) as server:
        if sessions := await _sessions(server, url):
            raise _in_use(url, sessions)


async def put_in_place(url: str) -> None:
    """What was loaded becomes the database. The one before the first try is kept; what a restore that was cut short has put there
    is not. Raises StackError, which says who is connected, and has changed nothing then."""
    name, before, cut_short = _name(url), _before(url), _cut_short(url)
    async with _server(url) as server:
        is_kept = await server.fetchval("SELECT TRUE FROM pg_database WHERE datname = $1", before)
        await server.execute(f'DROP DATABASE IF EXISTS "{cut_short}"')
        try:
            async with server.transaction():
                await server.execute(f'ALTER DATABASE "{name}" RENAME TO "{cut_short if is_kept else before}"')
                await server.execute(f'ALTER DATABASE "{_draft(url)}" RENAME TO "{name}"')
        except asyncpg.ObjectInUseError as error:
            raise _in_use(url, await _sessions(server, url) or str(error.detail)) from error


async def give_up_what_was_before(url: str) -> None:
    """Once nobody needs to say restore again. Raises StackError."""
    async with _server(url) as server:
        for name in (_cut_short(url), _before(url)):
            await server.execute(f'DROP DATABASE IF EXISTS "{name}"')


@asynccontextmanager
async def _server(url: str) -> AsyncIterator[asyncpg.Connection]:
    """From outside the database."""
    connection = await asyncpg.connect(urls.administration(url), timeout=10)
    try:
        yield connection
    except (asyncpg.ObjectInUseError, asyncpg.InsufficientPrivilegeError) as error:
        raise StackError(str(error)) from error
    finally:
        await connection.close()


async def _sessions(server: asyncpg.Connection, url: str) -> str:
    """Who is connected, in words; nothing when nobody is."""
    rows = await server.fetch(_SESSIONS, [_name(url), _draft(url)])
    return ", ".join(f"{row['count']} x {row['program']} ({row['usename']} from {row['client']})" for row in rows)


def _in_use(url: str, sessions: str) -> StackError:
    return StackError(f"nothing was changed, for {_name(url)} is in use: {sessions}; end that, then say restore again")


def _name(url: str, *beside: str) -> str:
    return "_".join([urls.database(url), *beside])


def _draft(url: str) -> str:
    return _name(url, "restoring")


def _before(url: str) -> str:
    return _name(url, "before", "restore")


def _cut_short(url: str) -> str:
    return _name(url, "cut", "short")
