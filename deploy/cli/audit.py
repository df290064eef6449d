"""`orderbus audit`: does everything add up?"""

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from deploy.audit import Report

app = typer.Typer()


@app.command()
def audit(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    settle: Annotated[float, typer.Option(help="Seconds an order must have been left alone to be judged.")] = 5,
) -> None:
    """Check the invariants over all four schemas; exit 1 when one does not hold, with the offenders."""
    from rich.console import Console

    from deploy.audit import audit as run
    from deploy.cli.addresses import stack

    report = asyncio.run(run(stack()["postgres"]["superuser_url"], timedelta(seconds=settle)))
    if as_json:
        typer.echo(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        Console().print(table(report))
    if not report.ok:
        raise typer.Exit(1)


def table(report: "Report") -> "Table":
    """The report as a person reads it."""
    from rich.markup import escape
    from rich.table import Table

    from deploy.audit.report import SHOWN

    title = "audit: everything adds up" if report.ok else "audit: it does not add up"
    shown = Table("check", "promise", "checked", "", title=title)
    for check in report.checks:
        verdict = "[green]ok" if check.ok else f"[red]{len(check.violations)}"
        shown.add_row(check.name, check.promise, str(check.checked), verdict)
        for violation in check.violations[:SHOWN]:
            shown.add_row("", f"[red]{escape(violation)}", "", "")
    return shown
