"""`orderbus doctor`: what waits for longer than it should?"""

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.telling import COULD_NOT_LOOK, explaining_trouble, fail

if TYPE_CHECKING:
    from rich.table import Table

    from deploy.doctor import Finding

app = typer.Typer()

COLUMNS = 120
"""An id and when take sixty; what was found and what happens now have the rest."""


@app.command()
def doctor(
    heal: Annotated[bool, typer.Option("--heal", help="Say again what one service said and another has not heard.")] = False,
    days: Annotated[
        int, typer.Option(min=1, max=36_500, help="Orders at rest are looked at for so long after they were placed.")
    ] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find orders that are past their time, and say of each what was found and what happens now; exit 1 when something needs a
    person or --heal, and 2 when that cannot be found out. It only reads, unless --heal: partners are asked again by the services
    themselves."""
    from deploy.cli.addresses import asking_postgres, stack
    from deploy.cli.paper import paper
    from deploy.doctor import Whose, visit, while_stopped

    found = stack(COULD_NOT_LOOK)
    with explaining_trouble("nothing was changed", COULD_NOT_LOOK), asking_postgres():
        if heal and (stopped := _stopped()):
            said = f"{', '.join(stopped)} must run first: what is not heard may wait there; ./orderbus up starts it"
            fail(said, COULD_NOT_LOOK)
        findings = asyncio.run(visit(found["postgres"]["superuser_url"], days, heal=heal))
        if findings:
            states = [f"{name} is {state}" for name, state in _stopped().items()]
            findings = while_stopped(findings, states, datetime.now(UTC))
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}, ensure_ascii=False, default=str))
    else:
        console = paper(least=COLUMNS)
        shown = (
            table(findings, is_plain=not console.is_terminal) if findings else "doctor: nothing waits for longer than it should"
        )
        console.print(shown)
    if any(finding.whose is Whose.PERSON or (finding.whose is Whose.DOCTOR and not finding.done) for finding in findings):
        raise typer.Exit(1)


def _stopped() -> dict[str, str]:
    """What of the stack does not run, and how it is."""
    from deploy.stack import stack as local

    return {line.name: line.state for line in local.status() if not line.state.startswith("running")}


def table(findings: "list[Finding]", *, is_plain: bool = False) -> "Table":
    """The findings as a person reads them."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    colours = {"person": "red", "doctor": "yellow", "service": "dim"}
    shown = Table(box=None if is_plain else box.HEAVY_HEAD)
    shown.title, shown.title_justify = f"doctor: {len(findings)} past their time", "left"
    for name in ("order", "since", "found", "now"):
        shown.add_column(name, no_wrap=name in ("order", "since"), overflow="fold")
    for each in findings:
        colour = colours[each.whose]
        since = f"{each.since:%m-%d %H:%M:%S}"
        shown.add_row(each.order_id or "", since, f"[{colour}]{escape(each.found)}", escape(each.done or each.next))
    return shown
