"""`orderbus bench`: what the pipeline carries, and what the machine could."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.telling import explaining_trouble, fail

app = typer.Typer()


@app.command()
def bench(
    only: Annotated[list[str] | None, typer.Option(help="Only this figure; may be given several times.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Every figure on a smaller load, once; growth is left out.")] = False,
    replicas: Annotated[int, typer.Option(help="Processes of each service.", min=1, max=16)] = 1,
    runs: Annotated[int | None, typer.Option(help="Of each load; the middle one counts.  [default: 3; quick: 1]", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="How long `http` goes on.  [default: 60; quick: 5]", min=0.1)] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the figures into this SVG file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, last.")] = False,
) -> None:
    """Measure throughput, latency and cost on a stack of its own, beside the machine's floor in the same run. Exit 0 only if
    every order ended as it should have and everything added up after each load.
    """
    from rich.console import Console

    from deploy.stack.undoing import ended_like_interrupted
    from tests.load import suite
    from tests.load.plot import draw
    from tests.load.results import complaints, tables
    from tests.load.scale import QUICK, Scale
    from tests.load.showing import showing

    console = Console(stderr=as_json, highlight=False)
    scale = QUICK if quick else Scale()
    scale = replace(scale, runs=runs or scale.runs, http_seconds=seconds or scale.http_seconds)
    try:
        names = suite.chosen(only or (), scale)
    except LookupError as error:
        fail(error.args[0], 2)
    if os.getloadavg()[0] > 1:
        console.print(f"[yellow]others are at work on this machine[/]: its load average is {os.getloadavg()[0]:.1f}")
    with explaining_trouble(), ended_like_interrupted(), showing(console) as show:
        findings = suite.run(names, scale, replicas, show)
    for table in tables(findings):
        console.print(table)
    for name, figure in findings.figures.items():
        for line in complaints(name, figure):
            console.print(line, markup=False, soft_wrap=True)
    if plot:
        draw(findings, plot)
    if as_json:
        print(json.dumps(findings.as_dict(), ensure_ascii=False), flush=True)
    sys.exit(0 if findings.ok else 1)
