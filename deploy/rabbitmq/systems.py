"""Other systems on the bus: each publishes through an exchange of its own and reads a queue of its own, both made here.

RabbitMQ says of a message which exchange it was first published to. The exchange's name holds the system's `source`, so
a consumer knows for whom a message may speak, without asking anybody; see docs/decisions/0011.
"""

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from deploy.rabbitmq.access import Rights, grant, one_of
from deploy.rabbitmq.management import Management
from deploy.rabbitmq.names import system_user, system_users
from shared.events import EVENTS, OURS
from shared.origin import EXCHANGE, EXTERNAL

MOST_KEPT_BYTES = 1024**3
"""A system that does not read loses its oldest events beyond this, before the disk is full and everybody stands still."""

LIMITS = {"max-connections": 20, "max-channels": 200}
"""Of one system: what it leaks must not use up the broker."""


class Refused(Exception):
    """It cannot be done as it was asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class System:
    """`waiting`: events, or batches, that it has not read, as the broker counted them some seconds ago."""

    name: str
    source: str
    publishes: tuple[str, ...]
    hears: tuple[str, ...]
    waiting: int = 0


def exchange_of(source: str) -> str:
    """Where a system publishes."""
    return f"{EXTERNAL}{source}"


def queue_of(name: str) -> str:
    """Where a system hears."""
    return f"{EXTERNAL}{name}"


def is_name(name: str) -> bool:
    """A system may be called so."""
    return bool(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name))


def whats_wrong(name: str, source: str, publishes: Collection[str], hears: Collection[str]) -> list[str]:
    """Why there can be no such system; nothing when there can."""
    wrong = []
    if not is_name(name):
        wrong.append(f"name: {name!r} should be up to 40 small letters, digits and hyphens")
    if not re.fullmatch(r"[!-~]{1,200}", source):
        wrong.append(f"source: {source!r} should be a URI or path of up to 200 ASCII characters")
    if f"{source}/".startswith(OURS):
        wrong.append(f"source: {source} is our own services'")
    for type in publishes:
        if type not in EVENTS or not EVENTS[type].inbound:
            takes = ", ".join(sorted(event.type for event in EVENTS.values() if event.inbound))
            wrong.append(f"publishes: {type!r} is not for other systems to publish; these are: {takes}")
    wrong += [f"hears: no event is called {pattern!r}" for pattern in hears if not is_known(pattern)]
    return wrong


async def add(broker: Management, system: System, *, new_password: bool = False) -> str | None:
    """Let the system in, or change what it may do; its password when that is new. Raises Refused."""
    if wrong := whats_wrong(system.name, system.source, system.publishes, system.hears):
        raise Refused("\n".join(wrong))
    known = {each.name: each for each in await everyone(broker)}
    before = known.get(system.name)
    if before and before.source != system.source:
        raise Refused(f"{system.name} publishes as {before.source}; remove it before it becomes {system.source}")
    for other in known.values():
        if other.name != system.name and other.source == system.source:
            raise Refused(f"{system.source} is {other.name}'s")
    user = system_user(broker.vhost, system.name)
    rights = Rights(exchange_of(system.source), frozenset(system.publishes), one_of([queue_of(system.name)]))
    password = None
    if before is None or new_password:
        password = secrets.token_urlsafe(32)
        await broker.put("users", user, password=password, tags="")
    if before is None:
        # cut short from here on, the system is listed and can be removed again; and nobody knows its password yet
        await grant(broker, user, rights)
    await _build(broker, system)
    await grant(broker, user, rights)  # of one that is in already only now: what is published before it is bound is dropped
    for limit, value in LIMITS.items():
        await broker.put("user-limits", user, limit, value=value)
    await broker.close_connections(user)
    return password


async def everyone(broker: Management) -> list[System]:
    """Every system that was let in, from what the broker knows."""
    prefix = system_users(broker.vhost)
    users = [user["name"] for user in await broker.get("users") if user["name"].startswith(prefix)]
    return [system for user in sorted(users) if (system := await _known(broker, user, user.removeprefix(prefix)))]


async def remove(broker: Management, name: str) -> System:
    """Shut the system out, at once, and give up what it has not read; who it was. Raises Refused."""
    system = await find(broker, name)
    user = system_user(broker.vhost, name)
    await broker.delete("permissions", broker.vhost, user)
    await broker.close_connections(user)  # taking rights away leaves open channels as they are
    await broker.delete("queues", broker.vhost, queue_of(name))
    await broker.delete("exchanges", broker.vhost, exchange_of(system.source))
    await broker.delete("users", user)  # last: cut short before this, the system is still listed and can be removed again
    return system


async def find(broker: Management, name: str) -> System:
    """The system of this name. Raises Refused."""
    for system in await everyone(broker):
        if system.name == name:
            return system
    raise Refused(f"there is no system called {name}; these are known: ./orderbus systems list")


def is_known(pattern: str) -> bool:
    """Whether any event is called so."""
    return any(_fits(pattern.split("."), type.split(".")) for type in EVENTS)


def _fits(pattern: list[str], words: list[str]) -> bool:
    """As in a topic exchange: * is one word, # any number of them."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        return _fits(pattern[1:], words) or (bool(words) and _fits(pattern, words[1:]))
    return bool(words) and pattern[0] in ("*", words[0]) and _fits(pattern[1:], words[1:])


async def _build(broker: Management, system: System) -> None:
    """Its exchange, its queue and their bindings, and none that it had beyond these."""
    exchange, queue, vhost = exchange_of(system.source), queue_of(system.name), broker.vhost
    await broker.put("exchanges", vhost, exchange, type="topic", durable=True)
    await broker.put(
        "queues",
        vhost,
        queue,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-max-length-bytes": MOST_KEPT_BYTES,
            "x-overflow": "drop-head",  # reject-publish would refuse our own publishing as soon as it is full
            "x-delivery-limit": 1_000_000,  # the default of 4.x drops what was given back twenty times
        },
    )
    for source, kind, destination, wanted in (
        (exchange, "e", EXCHANGE, system.publishes),
        (EXCHANGE, "q", queue, system.hears),
    ):
        there = {
            binding["routing_key"]: binding["properties_key"] for binding in await _bindings(broker, source, kind, destination)
        }
        for key in wanted:
            await broker.post("bindings", vhost, "e", source, kind, destination, routing_key=key, arguments={})
        for key in there.keys() - set(wanted):
            await broker.delete("bindings", vhost, "e", source, kind, destination, there[key])


async def _bindings(broker: Management, source: str, kind: str, destination: str) -> list[Any]:
    return await broker.get("bindings", broker.vhost, "e", source, kind, destination) or []


async def _known(broker: Management, user: str, name: str) -> System | None:
    exchanges = [
        each["exchange"] for each in await broker.get("users", user, "topic-permissions") or [] if each["vhost"] == broker.vhost
    ]
    exchange = next((each for each in exchanges if each.startswith(EXTERNAL)), None)
    if exchange is None:
        return None
    publishes = [each["routing_key"] for each in await _bindings(broker, exchange, "e", EXCHANGE)]
    hears = [each["routing_key"] for each in await _bindings(broker, EXCHANGE, "q", queue_of(name))]
    queue = await broker.get("queues", broker.vhost, queue_of(name)) or {}
    source = exchange.removeprefix(EXTERNAL)
    return System(name, source, tuple(sorted(publishes)), tuple(sorted(hears)), queue.get("messages", 0))
