"""systems add, list, remove, token: which other systems may speak and listen, and what each of them may say and hear."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from deploy.cli.telling import explaining_trouble, fail, narrate

if TYPE_CHECKING:
    from deploy.rabbitmq.management import Management

T = TypeVar("T")

app = typer.Typer(help="Other systems: who may publish and hear what.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What the system is called here: small letters, digits and hyphens.")]


@app.command()
def add(
    name: Name,
    source: Annotated[str, typer.Option(help="The CloudEvents source of all it says: /shops/taobao-42.")],
    publishes: Annotated[list[str] | None, typer.Option(help="An event type that it may say; again for each.")] = None,
    hears: Annotated[
        list[str] | None, typer.Option(help="Types that it hears, of every shop's orders: shipment.created, shipment.*.")
    ] = None,
    new_password: Annotated[bool, typer.Option("--new-password", help="The old one no longer opens anything.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Let a system in, or change what it may do: what is named now counts, and nothing else.

    Prints the AMQP URL with its password, once: nobody can show it again.
    """
    from deploy.rabbitmq import names, systems
    from deploy.stack import keys

    url, _ = _broker()
    wanted = systems.System(name, source, tuple(sorted({*(publishes or ())})), tuple(sorted({*(hears or ())})))
    password = _at_the_broker(lambda broker: systems.add(broker, wanted, new_password=new_password))
    are_tokens_ended = keys.end_tokens(_keys(), name, wanted.publishes)
    opened = None
    if password is not None:
        opened = names.user_url(url, names.system_user(names.vhost_of(url), name), password)
    exchange, queue = systems.exchange_of(source), systems.queue_of(name)
    if as_json:
        print(json.dumps({"name": name, "url": opened, "exchange": exchange, "queue": queue}))
        return
    print(f"url        {opened or 'as before; --new-password makes another'}")
    print(f"publishes  {', '.join(wanted.publishes) or 'nothing'}, to the exchange {exchange}, as {source}")
    print(f"hears      {', '.join(wanted.hears) or 'nothing'}, from the queue {queue}")
    if are_tokens_ended:
        print(f"tokens     for what it could publish before open nothing any more; ./orderbus systems token {name} makes another")


@app.command("list")
def list_systems(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False) -> None:
    """Who was let in, what each may say and hear, and how many messages it has not read yet."""
    from dataclasses import asdict

    from deploy.rabbitmq import systems

    known = _at_the_broker(systems.everyone)
    if as_json:
        print(json.dumps([asdict(system) for system in known]))
        return
    for system in known:
        said, heard = ", ".join(system.publishes) or "nothing", ", ".join(system.hears) or "nothing"
        print(f"{system.name}  {system.source}\n  publishes  {said}\n  hears      {heard}; {system.waiting} messages unread")
    if not known:
        print("no other system was let in")


@app.command()
def remove(name: Name) -> None:
    """Shut a system out at once: its tokens end, its connections are closed, its queue is removed with all that it has not
    read."""
    from deploy.rabbitmq import systems
    from deploy.stack import keys

    # first, whether the broker knows the system or not: cut short after this, it is still listed and can be removed again
    are_tokens_ended = systems.is_name(name) and keys.end_tokens(_keys(), name)
    if are_tokens_ended:
        narrate(f"the tokens made for {name} here open nothing any more")

    async def shut_out(broker: Management) -> systems.System | None:
        try:
            return await systems.remove(broker, name)
        except systems.Refused:
            if are_tokens_ended:
                return None
            raise

    gone = _at_the_broker(shut_out)
    if gone:
        print(f"{name} is shut out, with the tokens made for it here; {gone.waiting} messages it had not read are gone")
    else:
        print(f"{name} has no tokens any more; the broker knows no system of that name")


@app.command()
def token(name: Name, days: Annotated[int, typer.Option(min=1, max=366, help="How long it is good for.")] = 30) -> None:
    """Print a bearer token for HTTP: the system publishes what it may as its own source, places orders, and sees its own.
    Its tokens end when it is removed or may publish other types."""
    from datetime import UTC, datetime, timedelta

    from deploy.rabbitmq import systems
    from deploy.stack import keys

    system = _at_the_broker(lambda broker: systems.find(broker, name))
    lifetime = timedelta(days=days)
    print(keys.for_system(_keys(), system.name, system.source, system.publishes, datetime.now(UTC), lifetime))


def _keys() -> Path:
    """Where the local issuer keeps its keys."""
    from deploy.stack.state import checkout_folder

    with explaining_trouble():
        return checkout_folder().room("keys")


def _broker() -> tuple[str, str]:
    """The AMQP and the management URL, an administrator's: those of the environment, else those of this checkout's stack. With
    one of the two alone nobody can say which broker is meant."""
    from deploy.cli.addresses import named, stack

    variable = "ORDERBUS_RABBITMQ_MANAGEMENT_URL"
    url, management_url = named("rabbitmq"), os.environ.get(variable)
    if url and management_url:
        return url, management_url
    if url or management_url:
        names = ("ORDERBUS_RABBITMQ_URL", variable)
        fail("{} is set and {} is not: both or neither".format(*(names if url else reversed(names))))
    found = stack()["rabbitmq"]
    if found["management_url"] is None:
        fail(
            "users are made through RabbitMQ's management API: set ORDERBUS_RABBITMQ_URL, and ORDERBUS_RABBITMQ_MANAGEMENT_URL "
            "that says where it is"
        )
    return found["url"], found["management_url"]


def _at_the_broker(do: Callable[[Management], Awaitable[T]]) -> T:
    """The answer; what cannot be done ends the command with the reason."""
    from deploy.cli.addresses import stack
    from deploy.rabbitmq.management import Management, ManagementError, Unreachable
    from deploy.rabbitmq.systems import Refused

    url, management_url = _broker()

    async def ask() -> T:
        async with Management(management_url, url) as broker:
            return await do(broker)

    try:
        return asyncio.run(ask())
    except Unreachable as error:
        if os.environ.get("ORDERBUS_RABBITMQ_URL") or stack()["rabbitmq"]["pid"] is None:
            fail(str(error))
        fail("this stack's RabbitMQ does not answer; ./orderbus status tells more, ./orderbus up starts it")
    except (ManagementError, Refused) as error:
        fail(str(error))
