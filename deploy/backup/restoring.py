"""Puts a backup in the place of what a stack holds."""

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from deploy.backup import bus, dumping
from deploy.backup.taking import ABOUT, BUS, DATABASE
from deploy.stack import credentials, observability, processes, servers, stack
from deploy.stack.state import Say, StackError, StackFolder, checkout_folder, locked, silent

SERIALS_LEFT_OUT = 1_000_000
"""Numbers of our own fleet that may have been printed on parcels since the backup: none of them is given again."""


def restore(backup: Path, say: Say = silent, folder: StackFolder | None = None) -> dict[str, object]:
    """Read the backup, stop the services, put it in place of the database and of what is on the bus, and start them; what the
    backup says of itself. The database before it is kept until all of that is done. Raises StackError.

    Not to be called from within an event loop.
    """
    folder = folder or checkout_folder()
    about = _about(backup)
    messages = bus.read(backup / BUS)
    with locked(folder, say):
        found = servers.bring_up(folder, say)
        url = found.postgres.superuser_url
        say(f"reading the backup of {about['moment']}")
        asyncio.run(_load(backup / DATABASE, url))
        say("stopping the services")
        is_observed = observability.runs(folder)
        # who watches is connected to the database too
        processes.stop(folder, (*observability.ROLES, *credentials.SERVICES))
        asyncio.run(bus.empty(found.rabbitmq.url))
        asyncio.run(_put_in_place(url))
    stack.up(say, folder, observed=is_observed)
    asyncio.run(bus.say_again(found.rabbitmq.url, messages))
    asyncio.run(_at_the_server(url, f'DROP DATABASE IF EXISTS "{_before(url)}"'))
    return about


def _about(backup: Path) -> dict[str, object]:
    try:
        about: dict[str, object] = json.loads((backup / ABOUT).read_text())
    except (OSError, ValueError) as error:
        raise StackError(f"{backup} is no backup: {error}") from error
    if about.get("format") != 1:
        raise StackError(f"{backup} was made by a newer version")
    return about


async def _load(dump: Path, url: str) -> None:
    """Into a database beside: a backup that cannot be read whole changes nothing."""
    draft = _name(url, "restoring")
    await _at_the_server(url, f'DROP DATABASE IF EXISTS "{draft}"', f'CREATE DATABASE "{draft}"')
    beside = urlsplit(url)._replace(path=f"/{draft}").geturl()
    await asyncio.to_thread(dumping.load, dump, beside)
    connection = await asyncpg.connect(beside, timeout=10)
    try:
        await connection.execute(
            f"SELECT setval('logistics.fleet_serial', nextval('logistics.fleet_serial') + {SERIALS_LEFT_OUT})"
        )
    finally:
        await connection.close()


async def _put_in_place(url: str) -> None:
    """What a restore that was cut short has put there makes room; what was there before the first try stays."""
    name, before = _name(url), _before(url)
    is_kept = await _at_the_server(url, f"SELECT TRUE FROM pg_database WHERE datname = '{before}'")
    away = f'DROP DATABASE "{name}"' if is_kept else f'ALTER DATABASE "{name}" RENAME TO "{before}"'
    await _at_the_server(url, away, f'ALTER DATABASE "{_name(url, "restoring")}" RENAME TO "{name}"')


async def _at_the_server(url: str, *statements: str) -> object:
    """Do this from outside the database; what the last statement gives. Raises StackError."""
    connection = await asyncpg.connect(urlsplit(url)._replace(path="/postgres").geturl(), timeout=10)
    try:
        given = None
        for statement in statements:
            given = await connection.fetchval(statement)
        return given
    except asyncpg.ObjectInUseError as error:
        raise StackError(f"{error}: {error.detail}; stop every service, and whoever else is connected") from error
    finally:
        await connection.close()


def _name(url: str, *beside: str) -> str:
    return "_".join([urlsplit(url).path.removeprefix("/"), *beside])


def _before(url: str) -> str:
    return _name(url, "before", "restore")
