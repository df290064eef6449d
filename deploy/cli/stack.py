"""up, down, status: the servers and services of this checkout, in the background."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.cli.telling import explaining_trouble, narrate

if TYPE_CHECKING:
    from rich.table import Table

    from deploy.stack.stack import Line
    from deploy.stack.troubles import Troubles

app = typer.Typer()

SEVERITY_COLOURS = {"page": "red", "ticket": "yellow"}
STATE_COLOURS = {"running": "green", "stopped": "dim", "half-started": "yellow", "not answering": "red", "not ready": "yellow"}


@app.command()
def up(
    observability: Annotated[
        bool, typer.Option("--observability", help="Prometheus and Alertmanager too, with the shipped rules.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what .orderbus/stack.json says.")] = False,
) -> None:
    """Start whatever of the stack is not running; leave the rest alone. A server that was named by URL is to be named each time,
    until `down`."""
    from deploy.stack import stack

    with explaining_trouble():
        found = stack.up(narrate, observed=observability)
    if as_json:
        print(json.dumps(found))
    else:
        show(stack.status())


@app.command()
def down(erase: Annotated[bool, typer.Option("--erase", help="Remove the data too.")] = False) -> None:
    """Stop services and servers; the data stays for the next `up`."""
    from deploy.stack import stack

    with explaining_trouble("part of it may still run; ./orderbus down ends the rest"):
        stack.down(narrate, erase=erase)
    narrate("the stack is down, its data is erased" if erase else "the stack is down, its data is kept")


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array; with --watch an object a look.")] = False,
    live: Annotated[bool, typer.Option("--watch", help="Go on, with rates, lag and queues, until Ctrl-C.")] = False,
) -> None:
    """Show each server and service: where it is, how it is, and what in it needs a look: dead letters, and events stuck
    for over a minute; with Prometheus beside them, also the alerts that fire. Exit code 1 unless all of them run."""
    from deploy.stack import stack

    if live:
        _watch(as_json=as_json)
        return
    with explaining_trouble("nothing was changed"):
        lines = stack.status()
    if as_json:
        print(json.dumps([as_shown(line) for line in lines]))
    else:
        show(lines)
    if not all(line.state.startswith("running") for line in lines):
        raise typer.Exit(1)


def _watch(*, as_json: bool) -> None:
    import asyncio
    from contextlib import suppress

    from deploy.cli.addresses import stack
    from deploy.cli.watch import watch

    with suppress(KeyboardInterrupt):
        asyncio.run(watch(stack(), as_json=as_json))


def show(lines: list["Line"]) -> None:
    """A table on a terminal, plain columns elsewhere; passwords stay out of both."""
    if not sys.stdout.isatty():
        for line in lines:
            row = f"{line.name:<12} {line.state:<14} {line.pid or '-':<8} {without_password(line.url)}"
            print(f"{row:<70} {in_words(line.troubles)}".rstrip())
        for told in alerts_of(lines):
            print("  ".join(told).rstrip())
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("", "state", "pid", box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("address", no_wrap=True)
    table.add_column("needs a look")
    for line in lines:
        table.add_row(
            line.name, coloured(line.state), str(line.pid or ""), without_password(line.url), f"[red]{in_words(line.troubles)}"
        )
    Console().print(table)
    if fires := alerts_of(lines):
        Console().print("", alerts_table(fires))


def alerts_of(lines: list["Line"]) -> list[tuple[str, ...]]:
    """Each alert that fires: severity, name, since when, summary, runbook; or that nobody can say. Nothing without Prometheus."""
    told: list[tuple[str, ...]] = []
    for line in lines:
        if line.name != "prometheus" or line.url is None:
            continue
        if line.alerts is None:
            told.append(("unknown", "Prometheus cannot be reached, so nobody can say which alerts fire", "", "", ""))
        else:
            told += [(each.severity, each.name, each.since[:19], each.summary, each.runbook) for each in line.alerts]
    return told


def alerts_table(fires: list[tuple[str, ...]]) -> "Table":
    """The same on a terminal."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("fires", "alert", "since (UTC)", "", "what to do", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for severity, *rest in fires:
        table.add_row(f"[{SEVERITY_COLOURS.get(severity, 'yellow')}]{severity}[/]", *map(escape, rest))
    return table


def coloured(state: str) -> str:
    """The state in its colour."""
    return f"[{STATE_COLOURS.get(state.partition(' (')[0], 'red')}]{state}[/]"


def in_words(troubles: "Troubles | None") -> str:
    """2 dead letters, 3 stuck in outbox; nothing where nothing needs a look."""
    if troubles is None:
        return ""
    letters = [f"{count} {state} letter{'s' if count > 1 else ''}" for state, count in troubles.dead_letters.items()]
    return ", ".join([*letters, *(f"{count} stuck in {where}" for where, count in troubles.stuck.items())])


def as_shown(line: "Line") -> dict[str, Any]:
    """A line for programs, which keep what they read: its address is without the password too."""
    from dataclasses import asdict

    return {**asdict(line), "url": line.url and without_password(line.url)}


def without_password(url: str | None) -> str:
    """The address as it may be shown on a screen; .orderbus/stack.json has the whole."""
    if url is None:
        return "-"
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
