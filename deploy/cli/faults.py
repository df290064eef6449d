"""`orderbus faults`: is anything lost, doubled or stuck when things break?"""

from __future__ import annotations

import json
import random
import sys
from typing import Annotated

import typer

from deploy.cli.telling import explaining_trouble, fail

app = typer.Typer()


@app.command()
def faults(
    only: Annotated[list[str] | None, typer.Option(help="Only this fault; may be given several times.")] = None,
    seconds: Annotated[float, typer.Option(help="Faults at random, for so long, instead of one by one.", min=0)] = 0,
    seed: Annotated[int | None, typer.Option(help="Makes the same run again.")] = None,
    brief: Annotated[bool, typer.Option("--brief", help="A few orders for each fault: a matter of minutes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, last.")] = False,
) -> None:
    """Break things under load, one by one or at random, on a stack of its own. Exit 0 only if no order was lost, doubled or
    stuck, and everything added up after each fault.
    """
    from rich.console import Console

    from deploy.stack.undoing import ended_like_interrupted
    from tests.faults import suite
    from tests.faults.results import complaints, table

    console = Console(stderr=as_json, highlight=False)
    chosen_seed = random.randrange(1_000_000) if seed is None else seed
    try:
        chosen = suite.faults(only or ())
    except LookupError as error:
        fail(error.args[0], 2)
    console.print(f"[bold]Orderbus[/]: {len(chosen)} faults, seed {chosen_seed}")
    with explaining_trouble(), ended_like_interrupted():

        def say(line: str) -> None:
            console.print(line, markup=False, soft_wrap=True)

        findings = suite.run(chosen, seconds, chosen_seed, say, is_brief=brief)
    console.print(table(findings))
    for line in complaints(findings):
        console.print(line, markup=False, soft_wrap=True)
    if as_json:
        print(json.dumps(findings.as_dict(), ensure_ascii=False), flush=True)
    sys.exit(0 if findings.ok else 1)
