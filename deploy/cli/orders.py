"""`orderbus orders timeline`: one order's life, across the services."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.cli.telling import fail

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(help="Look at orders.", no_args_is_help=True)

COLOURS = {"orders": "cyan", "inventory": "yellow", "payments": "green", "logistics": "magenta"}
"""Each service has its own, wherever its events are shown."""

OURS = "/orderbus/"

COLUMNS = 100
"""What a timeline takes with a note of twenty-odd characters."""


@app.callback()
def orders() -> None:
    """Look at orders."""


@app.command()
def timeline(
    order_id: Annotated[str, typer.Argument(metavar="ID", help="The order's id.")],
    grafana: Annotated[
        str | None,
        typer.Option(envvar="ORDERBUS_GRAFANA_URL", metavar="URL", help="Where Grafana is: a trace is shown as a link there."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's own JSON, and the traces.")] = False,
) -> None:
    """Show what every service said of an order, the milliseconds between, what led to what, and which trace has the rest."""
    from deploy.cli.paper import paper

    told = fetched(order_id)
    found = traces(told, grafana)
    if as_json:
        typer.echo(json.dumps({**told, "traces": found}, ensure_ascii=False))
        return
    console = paper(least=COLUMNS)
    console.print(table(told, is_plain=not console.is_terminal))
    for trace in found:
        typer.echo(f"trace  {trace['url'] or trace['trace_id']}")


def fetched(order_id: str) -> dict[str, Any]:
    """The timeline from the orders API; ends the command with a message when there is none."""
    from urllib.parse import quote

    import httpx

    from deploy.cli.addresses import stack
    from deploy.trust import trusted_at

    found = stack()
    url = f"{found['services']['orders']['url']}/api/orders/{quote(order_id, safe='')}/timeline"
    try:
        bearer = {"authorization": f"Bearer {found['token']}"}
        answer = httpx.get(url, headers=bearer, timeout=10, verify=trusted_at(url), trust_env=False)
        told: dict[str, Any] = answer.json()
    except (httpx.TransportError, ValueError) as error:
        fail(f"orders does not answer ({error!r}); ./orderbus status tells more, ./orderbus up starts it")
    if not answer.is_success:
        fail(str(told.get("detail", answer.status_code)))
    return told


def traces(told: dict[str, Any], grafana: str | None) -> list[dict[str, str | None]]:
    """The traces that the order's events are in, mostly one, recorded or not; each with its place in Grafana if that is known."""
    ids = dict.fromkeys(event["trace_id"] for event in told["events"] if event["trace_id"])
    return [{"trace_id": id, "url": grafana and _in_grafana(id, told["events"], grafana)} for id in ids]


def _in_grafana(trace_id: str, events: list[dict[str, Any]], grafana: str) -> str:
    from datetime import datetime, timedelta
    from urllib.parse import urlencode

    source = {"type": "tempo", "uid": "tempo"}  # as deploy/grafana/provisioning calls it
    query = {"refId": "A", "datasource": source, "queryType": "traceql", "query": trace_id}
    at = [datetime.fromisoformat(event["at"]) for event in events]
    around = {"from": min(at) - timedelta(hours=1), "to": max(at) + timedelta(hours=1)}
    shown = {name: str(int(moment.timestamp() * 1000)) for name, moment in around.items()}
    panes = {"trace": {"datasource": "tempo", "queries": [query], "range": shown}}
    return f"{grafana.rstrip('/')}/explore?{urlencode({'schemaVersion': 1, 'panes': json.dumps(panes), 'orgId': 1})}"


def table(told: dict[str, Any], *, is_plain: bool = False) -> Table:
    """A timeline as a person reads it: when, how long after the one before, who said what, and because of what. Time
    begins with our own services: another system's event may have been waiting for long, or its clock be wrong."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    events = told["events"]
    names = {event["id"]: event["event"] for event in events}
    shown = Table(box=None if is_plain else box.SIMPLE_HEAD, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    shown.title = None if is_plain else f"order {told['order_id']}"
    for name in ("ms", "+ms"):
        shown.add_column(name, justify="right", no_wrap=True)
    for name in ("who", "said", "note", "because of"):
        shown.add_column(name, no_wrap=name != "note", overflow="fold")
    start = next((event["ms"] for event in events if event["source"].startswith(OURS)), 0.0)
    before: float | None = None
    for event in events:
        who = speaker(event["source"])
        cause = names.get(event["caused_by"] or "", "")
        shown.add_row(
            span(event["ms"] - start),
            "" if before is None else span(event["ms"] - before, decimals=1),
            Text(who, COLOURS.get(who, "blue")),
            Text(event["event"], "bold"),
            Text(event["note"]),
            Text(f"← {cause}" if cause else "", "dim"),
        )
        before = event["ms"]
    return shown


def span(ms: float, decimals: int = 0) -> str:
    """Milliseconds as they are read: 7, 1593, and from a minute on 14.4 h."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if abs(ms) >= size:
            return f"{ms / size:.1f} {unit}"
    return f"{ms:.{decimals}f}"


def speaker(source: str) -> str:
    """One of our services by its name, another system by its CloudEvents source."""
    return source.removeprefix(OURS)
