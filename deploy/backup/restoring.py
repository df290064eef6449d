"""Puts a backup in the place of what an installation holds.

The database first: whoever is still connected makes that fail, and then nothing has been changed. Only then the queues, for what
is in them cannot be brought back. Cut short in between, the next restore does both again, and the database before the first try
is there until it is through.
"""

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aio_pika.exceptions import AMQPError

from deploy.backup import bus, database
from deploy.backup.taking import ABOUT, BUS, DATABASE
from deploy.stack import credentials, observability, processes, servers, stack, urls
from deploy.stack.state import Say, StackError, StackFolder, checkout_folder, locked, silent

SERVERS = ("postgres", "rabbitmq")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a backup is put: both addresses are an administrator's."""

    postgres_url: str
    rabbitmq_url: str


def is_elsewhere() -> bool:
    """A server is named by URL: it is an installation's that others start and know the passwords of."""
    return any(os.environ.get(urls.variable(server)) for server in SERVERS)


def restore(backup: Path, say: Say = silent, folder: StackFolder | None = None, *, up: bool = False) -> dict[str, object]:
    """Read the backup and put it in place of the database and of what is on the bus; what the backup says of itself.

    This checkout's services are stopped before and started after. Elsewhere nothing is stopped, started or given a password,
    unless `up` says that the services on those servers are this checkout's. Raises StackError. Not to be called from within an
    event loop.
    """
    folder = folder or checkout_folder()
    about, messages = _about(backup), bus.read(backup / BUS)
    is_ours, ran, refusal = up or not is_elsewhere(), False, None
    with locked(folder, say):
        place = _ours(folder, say) if is_ours else _theirs()
        say(f"reading the backup of {about['moment']}")
        asyncio.run(database.load(backup / DATABASE, place.postgres_url))
        if is_ours:
            say("stopping the services")
            ran = _stop(folder)
        say("putting it in place")
        try:
            asyncio.run(_put_in_place(place))
        except StackError as error:
            refusal = error
        else:
            _carry_over(messages, place, say)
    if refusal:
        if ran:
            say(f"starting again what was stopped: {refusal}")
            stack.up(say, folder)
        raise refusal
    if is_ours:
        stack.up(say, folder)
    say("removing what was there before")
    asyncio.run(database.give_up_what_was_before(place.postgres_url))
    return about


def _about(backup: Path) -> dict[str, object]:
    try:
        about: dict[str, object] = json.loads((backup / ABOUT).read_text())
    except (OSError, ValueError) as error:
        raise StackError(f"{backup} is no backup: {error}") from error
    if about.get("format") != 1:
        raise StackError(f"{backup} was made by a newer version")
    return about


def _ours(folder: StackFolder, say: Say) -> Place:
    found = servers.bring_up(folder, say)
    return Place(found.postgres.superuser_url, found.rabbitmq.url)


def _theirs() -> Place:
    """Whoever stops the services there has done so: it is not found out only when the backup has been read."""
    named = servers.named_by_url(SERVERS)
    if missing := [urls.variable(server) for server in SERVERS if server not in named]:
        raise StackError(f"{missing[0]} is not set: a backup is of a database and of its bus, so both are named, or neither")
    place = Place(named["postgres"], named["rabbitmq"])
    asyncio.run(database.must_be_unused(place.postgres_url))
    asyncio.run(bus.must_be_deserted(place.rabbitmq_url, patience=3))
    return place


def _stop(folder: StackFolder) -> bool:
    """Services, and who watches, who is connected to the database too; whether services ran."""
    ran = any(processes.recorded(folder, service) for service in credentials.SERVICES)
    observability.pause(folder)
    processes.stop(folder, credentials.SERVICES)
    return ran


async def _put_in_place(place: Place) -> None:
    """Raises StackError, and has changed nothing then."""
    await bus.must_be_deserted(place.rabbitmq_url)
    await database.put_in_place(place.postgres_url)


def _carry_over(messages: Sequence[bus.Message], place: Place, say: Say) -> None:
    """The bus is that of the database that is in place now. What is published waits in the queues for the services."""
    with _to_be_said_again():
        say("emptying the queues")
        asyncio.run(bus.empty(place.rabbitmq_url))
        say(f"publishing {len(messages)} messages that were on their way")
        asyncio.run(bus.say_again(place.rabbitmq_url, messages))


@contextmanager
def _to_be_said_again() -> Iterator[None]:
    try:
        yield
    except (StackError, AMQPError, OSError) as error:
        raise StackError(f"{error}\nthe restore was cut short: say it again, before any service is started") from error
