"""`orderbus audit`: does everything add up?"""

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.telling import COULD_NOT_LOOK, explaining_trouble, fail, narrate

if TYPE_CHECKING:
    from rich.table import Table

    from deploy.audit import Report

app = typer.Typer()

LONGEST = 366 * 24 * 3600
"""Seconds: nobody means more, and `nan` is not less."""


@app.command()
def audit(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    settle: Annotated[
        float,
        typer.Option(min=0, max=LONGEST, help="Seconds an order must have been left alone to be judged."),
    ] = 5,
    every: Annotated[
        float | None,
        typer.Option(min=1, max=LONGEST, help="Go on, once in so many seconds, as metrics."),
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="With --every: where Prometheus scrapes /metrics. [default: 9110]")
    ] = None,
    metrics_host: Annotated[str | None, typer.Option(help="With --every: the address to listen on. [default: 127.0.0.1]")] = None,
) -> None:
    """Check the invariants over all four schemas; exit 1 when one does not hold, with the offenders, and 2 when that cannot be
    found out."""
    from rich.console import Console

    from deploy.audit import audit as run
    from deploy.cli.addresses import asking_postgres, postgres_url

    if every is not None and as_json:
        raise typer.BadParameter("--json is for one audit; with --every its metrics say what was found")
    if every is None and (metrics_port or metrics_host):
        raise typer.BadParameter("--metrics-port and --metrics-host are for --every")
    url = postgres_url(COULD_NOT_LOOK)
    if every is not None:
        _keep_auditing(
            url, timedelta(seconds=every), timedelta(seconds=settle), metrics_host or "127.0.0.1", metrics_port or 9110
        )
        return
    with explaining_trouble("nothing was found out", COULD_NOT_LOOK), asking_postgres():
        report = asyncio.run(run(url, timedelta(seconds=settle)))
    if as_json:
        typer.echo(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        Console().print(table(report))
    if not report.ok:
        raise typer.Exit(1)


def _keep_auditing(url: str, every: timedelta, settle: timedelta, host: str, port: int) -> None:
    from contextlib import suppress

    from prometheus_client import start_http_server

    from deploy.audit.scheduled import Gauges, keep_auditing
    from deploy.stack.undoing import ended_like_interrupted

    gauges = Gauges()
    try:
        start_http_server(port, host, gauges.registry)
    except OSError as error:
        fail(f"nothing can listen on {host}:{port}: {error}", COULD_NOT_LOOK)
    narrate(f"auditing every {every.total_seconds():g} s; http://{host}:{port}/metrics says what was found")
    with suppress(KeyboardInterrupt), ended_like_interrupted():
        asyncio.run(keep_auditing(url, every, gauges, narrate, settle))


def table(report: "Report") -> "Table":
    """The report as a person reads it."""
    from rich.markup import escape
    from rich.table import Table

    from deploy.audit.report import SHOWN

    title = "audit: everything adds up" if report.ok else "audit: it does not add up"
    shown = Table(title=title)
    for name in ("check", "promise", "checked", ""):
        shown.add_column(name, no_wrap=name == "check")  # by which docs/runbooks/audit.md has it
    for check in report.checks:
        verdict = "[green]ok" if check.ok else f"[red]{len(check.violations)}"
        shown.add_row(check.name, check.promise, str(check.checked), verdict)
        for violation in check.violations[:SHOWN]:
            shown.add_row("", f"[red]{escape(violation)}", "", "")
    return shown
