"""`orderbus events publish` and `events tail`: speak and listen on the bus, as any other system does."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.cli.telling import fail

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

app = typer.Typer(help="Speak and listen on the bus.", no_args_is_help=True)


@app.command()
def publish(
    file: Annotated[str, typer.Argument(help="A CloudEvent or a JSON array of them; - is the standard input.")] = "-",
    by_amqp: Annotated[bool, typer.Option("--amqp/--http", help="To the broker, or to POST /api/events of orders.")] = True,
) -> None:
    """Publish CloudEvents as another system would. All are checked first: with one that is wrong, none is published."""
    from deploy.cli.addresses import stack

    content = _content(file)
    if wrong := whats_wrong(content):
        fail("nothing was published\n" + "\n".join(f"  {each}" for each in wrong))
    found, told = stack(), json.loads(content)
    events: list[dict[str, Any]] = told if isinstance(told, list) else [told]
    if by_amqp:
        asyncio.run(_publish_by_amqp(found["rabbitmq"]["url"], events))
    else:
        _publish_by_http(found["services"]["orders"]["url"], found["token"], events)
    for event in events:
        typer.echo(f"published {event['type']} {event['id']}")


@app.command()
def tail(
    type: Annotated[str, typer.Option(help="Event types, as a topic pattern: order.paid, order.*, #.")] = "#",
    order: Annotated[str | None, typer.Option(help="Of this order alone.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as it is on the wire, one a line.")] = False,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many events.")] = None,
) -> None:
    """Show events as they are said, from a temporary queue of its own, until Ctrl-C."""
    from deploy.cli.addresses import stack
    from deploy.rabbitmq.systems import is_known
    from shared.events import EVENTS

    if not is_known(type):
        fail(f"no event is called {type!r}; there are {', '.join(sorted(EVENTS))}")
    try:
        asyncio.run(_tail(stack()["rabbitmq"]["url"], type, Tail(order, count, write_json if as_json else _line_writer())))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def whats_wrong(content: bytes) -> list[str]:
    """Why these bytes are not events that other systems may publish, each event on its own; nothing when they are."""
    from shared import codec

    try:
        told = json.loads(content)
    except ValueError as error:
        return [f"not JSON: {error}"]
    if not told:
        return ["there is no event"]
    decoded = codec.decode(content, codec.BATCH if isinstance(told, list) else codec.SINGLE, {})
    wrong = [f"{bad.envelope.id if bad.envelope else 'event'}: {bad.reason}" for bad in decoded.unreadable]
    for event in decoded.events:
        if not event.inbound:
            wrong.append(f"{event.envelope.id}: type: {event.type} is not for other systems to publish")
        if event.envelope.is_ours:
            wrong.append(f"{event.envelope.id}: source: {event.envelope.source} is one of our own services'")
    return wrong


def _content(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")


async def _publish_by_amqp(url: str, events: list[dict[str, Any]]) -> None:
    """Each in a message of its own; returns when the broker has them all."""
    import aio_pika

    from shared.codec import SINGLE
    from shared.origin import EXCHANGE

    async with _channel(url) as channel:
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)
        for event in events:
            body = json.dumps(event, ensure_ascii=False).encode()
            message = aio_pika.Message(body, content_type=SINGLE, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await exchange.publish(message, event["type"])


def _publish_by_http(url: str, token: str, events: list[dict[str, Any]]) -> None:
    import httpx

    from deploy.trust import trusted_at
    from shared.codec import BATCH

    headers = {"authorization": f"Bearer {token}", "content-type": BATCH}
    body = json.dumps(events, ensure_ascii=False).encode()
    try:
        answer = httpx.post(
            f"{url}/api/events", content=body, headers=headers, timeout=30, verify=trusted_at(url), trust_env=False
        )
    except httpx.TransportError as error:
        fail(f"orders does not answer ({error!r}); ./orderbus status tells more, ./orderbus up starts it")
    if not answer.is_success:
        fail(f"nothing was published\n  {answer.json().get('detail', answer.status_code)}")


@dataclass(slots=True)
class Tail:
    """Which events are shown, how, and how many are still to come; None: until Ctrl-C."""

    order: str | None
    left: int | None
    write: Callable[[dict[str, Any], str], None]

    def take(self, body: bytes, content_type: str | None, headers: dict[str, Any]) -> bool:
        """Show a message's events that are wanted; whether those were the last."""
        for event, note in opened(body, content_type, headers):
            if self.order is not None and self.order not in (event["subject"], event.get("data", {}).get("order_id")):
                continue
            self.write(event, note)
            if self.left is not None:
                self.left -= 1
                if self.left == 0:
                    return True
        return False


def opened(body: bytes, content_type: str | None, headers: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """A message's events as JSON, each with its note; what cannot be read says so."""
    from shared import codec

    decoded = codec.decode(body, content_type, headers)
    good = [(json.loads(codec.encode(event, event.envelope)), event.note()) for event in decoded.events]
    bad = []
    for unreadable in decoded.unreadable:
        envelope = unreadable.envelope
        told = {"type": "(unreadable)", "source": "?", "subject": "", "time": ""}
        if envelope:
            told = {"type": envelope.type, "source": envelope.source, "subject": envelope.subject}
            told |= {"id": envelope.id, "time": envelope.time.isoformat()}
        bad.append((told | {"unreadable": unreadable.reason}, f"unreadable: {unreadable.reason}"))
    return good + bad


async def _tail(url: str, pattern: str, tail: Tail) -> None:
    from shared.origin import EXCHANGE

    async with _channel(url) as channel:
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        await queue.bind(await channel.get_exchange(EXCHANGE, ensure=False), pattern)
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def receive(message: AbstractIncomingMessage) -> None:
            if over.done():
                return
            try:
                if tail.take(message.body, message.content_type, dict(message.headers)):
                    over.set_result(None)
            except Exception as error:  # it cannot be shown
                over.set_exception(error)

        def lost(*_: object) -> None:
            if not over.done():
                over.set_exception(ConnectionError("the connection to the broker was lost"))

        channel.close_callbacks.add(lost)
        await queue.consume(receive, no_ack=True)
        typer.echo(f"listening for {pattern}{f' of order {tail.order}' if tail.order else ''}; Ctrl-C ends it", err=True)
        await over
        channel.close_callbacks.remove(lost)


@asynccontextmanager
async def _channel(url: str) -> AsyncIterator[AbstractChannel]:
    """A channel of its own; a broker that does not answer, or goes away, ends the command with a message, and so does what it
    cannot be told: a type is at most 255 bytes."""
    import aio_pika
    from aio_pika.exceptions import AMQPError

    try:
        connection = await aio_pika.connect(url, timeout=10, client_properties={"connection_name": "orderbus-events"})
        async with connection:
            yield await connection.channel(publisher_confirms=True)
    except (AMQPError, OSError, TimeoutError) as error:
        fail(f"the broker does not answer ({error!r}); ./orderbus status tells more, ./orderbus up starts it")
    except ValueError as error:
        fail(f"the broker cannot be told that: {error}")


def write_json(event: dict[str, Any], _: str) -> None:
    """The event as it is on the wire, in one line."""
    print(json.dumps(event, ensure_ascii=False), flush=True)


def _line_writer() -> Callable[[dict[str, Any], str], None]:
    """Writes an event as a person reads it: the time, who says what of which order, and the note."""
    from datetime import datetime

    from rich.text import Text

    from deploy.cli.orders import COLOURS, speaker
    from deploy.cli.paper import paper

    console = paper()

    def write(event: dict[str, Any], note: str) -> None:
        at = datetime.fromisoformat(event["time"]).astimezone() if event["time"] else None
        who = speaker(event["source"])
        said = Text(f"{at:%H:%M:%S.%f}"[:12] if at else " " * 12, "dim")
        said.append(f"  {who:<10}", COLOURS.get(who, "blue")).append(f"  {event['type']:<23}", "bold")
        said.append(f"  {event['subject']}").append(f"  {note}", "red" if "unreadable" in event else "default")
        console.print(said, soft_wrap=True)

    return write
