"""`orderbus demo`: the main job, seen whole."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.cli.telling import explaining_trouble, fail

if TYPE_CHECKING:
    from rich.console import Console

    from deploy.demo.outcome import Outcome

app = typer.Typer()


@app.command()
def demo(
    orders: Annotated[int, typer.Option(help="How many orders.", min=100, max=20_000)] = 300,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object, last.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack up that the demo has started.")] = False,
) -> None:
    """See it work: a few hundred orders of every kind, each followed to its end, then the audit. Exit 0 only if all is well.

    A stack that runs already is used and left running; one that is started for the demo is stopped after it.
    """
    from deploy.cli.paper import paper
    from deploy.demo.installation import Trouble

    started = time.monotonic()
    console = paper(sys.stderr if as_json else sys.stdout)
    console.print(f"[bold]Orderbus[/]: {orders} orders through four services, RabbitMQ and Postgres")
    try:
        with _stack_for_the_demo(console, keep=keep) as (stack, goes_down):
            outcome = _run(console, stack, orders, started)
            _report(console, outcome, stack, goes_down=goes_down, as_json=as_json)
    except Trouble as trouble:
        fail(str(trouble))
    if not outcome.ok:
        raise typer.Exit(1)


def _run(console: Console, stack: dict[str, Any], orders: int, started: float) -> Outcome:
    import asyncio

    from deploy.demo import running
    from deploy.demo.showing import Lines, Screen

    viewer = Screen(console) if console.is_terminal else Lines(console)
    with viewer.live():
        outcome = asyncio.run(running.run(stack, orders, viewer, started))
    viewer.keep()
    return outcome


def _report(console: Console, outcome: Outcome, stack: dict[str, Any], *, goes_down: bool, as_json: bool) -> None:
    from deploy.demo import results

    if as_json:
        print(json.dumps(outcome.as_dict(), ensure_ascii=False), flush=True)
    else:
        results.show(console, outcome, stack, goes_down=goes_down)


@contextmanager
def _stack_for_the_demo(console: Console, *, keep: bool) -> Iterator[tuple[dict[str, Any], bool]]:
    """The running stack, and whether it is stopped after the block: that is when it was started for it. Interrupted, the
    demo stops what it has started, even if it was to be kept."""
    from deploy.stack import stack
    from deploy.stack.undoing import ended_like_interrupted

    with explaining_trouble(), ended_like_interrupted():
        ran_before = any(line.name in ("orders", "sandbox") and line.state.startswith("running") for line in stack.status())
        with console.status("starting the stack") if console.is_terminal and not ran_before else nullcontext() as status:
            found = stack.up(lambda sentence: status.update(sentence) if status else console.print(sentence))
        console.print(f"{_tick(console)}the stack {'runs already' if ran_before else 'is up'}")
        try:
            yield found, not (ran_before or keep)
        except BaseException:
            if not ran_before:
                _take_down(console)
            raise
        if not (ran_before or keep):
            _take_down(console)


def _tick(console: Console) -> str:
    return "[green]✓[/] " if console.is_terminal else ""


def _take_down(console: Console) -> None:
    from deploy.stack import stack
    from deploy.stack.undoing import uninterrupted

    with uninterrupted(), console.status("stopping the stack") if console.is_terminal else nullcontext():
        stack.down(lambda sentence: console.print(sentence))
