"""What the demo found, as a person reads it."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deploy.audit import Report
from deploy.cli import orders
from deploy.demo.judging import Verdict
from deploy.demo.outcome import Kind, Outcome
from deploy.demo.showing import COLOURS

MOST = 20
"""Offenders, and violations of a check, that are named."""

LONGEST_REASON = 60

ROOMY = 110
"""Columns of a terminal from which on it is also shown how the orders came in."""


def show(console: Console, outcome: Outcome, stack: Mapping[str, Any], *, goes_down: bool) -> None:
    """All of it: outcomes, one timeline, the audit, where to look next, and the verdict last."""
    _title(console, "How each kind of order ended")
    console.print(_kinds(outcome, _table(console), with_ways=console.width >= ROOMY))
    if outcome.timeline is not None:
        _title(console, f"One order alone, across the services: {outcome.timeline['order_id']}")
        console.print(orders.table({**outcome.timeline}, is_plain=True))
    _title(console, "The audit: does everything add up?")
    console.print(_checks(outcome.audit, _table(console)))
    _violations(console, outcome.audit)
    if outcome.offenders:
        _title(console, "Orders that did not end as they must")
        for verdict in outcome.offenders[:MOST]:
            console.print(_offence(verdict))
        if (more := len(outcome.offenders) - MOST) > 0:
            console.print(Text(f"… and {more} more; with --json all are named", "red"))
    _title(console, "Where to look next")
    console.print(_addresses(stack, goes_down=goes_down))
    if outcome.timeline is not None:  # as long as it is, it would leave what is beside the others no room
        console.print(f"  ./orderbus orders timeline {outcome.timeline['order_id']}")
    _verdict(console, outcome)


def _title(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, "bold"))


def _table(console: Console) -> Table:
    frame = box.SIMPLE_HEAD if console.is_terminal else None
    return Table(box=frame, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))


def _kinds(outcome: Outcome, table: Table, *, with_ways: bool) -> Table:
    table.add_column("ended as", no_wrap=True)
    table.add_column("orders", justify="right", no_wrap=True)
    table.add_column("what happened")
    if with_ways:
        table.add_column("came by", no_wrap=True)
    table.add_column("the reason given, or what it shows")
    kinds = sorted(outcome.kinds(), key=lambda kind: list(COLOURS).index(kind.story.ending))
    for ending, alike in groupby(kinds, lambda kind: kind.story.ending):
        some = list(alike)
        for index, kind in enumerate(some):
            cells = _kind(kind, with_ways=with_ways)
            heading = Text(ending if index == 0 else "", COLOURS[ending])
            table.add_row(heading, *cells, end_section=index == len(some) - 1)
    return table


def _kind(kind: Kind, *, with_ways: bool) -> list[Text]:
    is_whole = kind.as_expected == kind.orders
    count = Text(str(kind.orders)) if is_whole else Text(f"{kind.as_expected} of {kind.orders}", "bold red")
    reason = Text(_shortened(kind.reasons[0])) if kind.reasons else Text(kind.story.shows, "dim")
    ways = [Text(kind.story.way, "dim")] if with_ways else []
    return [count, Text(kind.story.name), *ways, reason]


def _shortened(reason: str) -> str:
    return reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 1]}…"


def _checks(audit: Report, table: Table) -> Table:
    table.add_column("", no_wrap=True)
    table.add_column("promise")
    table.add_column("checked", justify="right")
    for check in audit.checks:
        verdict = Text("✓", "green") if not check.violations else Text(f"✗ {len(check.violations)}", "bold red")
        table.add_row(verdict, Text(check.promise), Text(f"{check.checked:,}"))
    return table


def _violations(console: Console, audit: Report) -> None:
    for check in audit.checks:
        for violation in check.violations[:MOST]:
            console.print(Text(f"  {check.name}: {violation}", "red"))


def _offence(verdict: Verdict) -> Text:
    course = verdict.course
    expected, got = course.purchase.story.ending, f"{verdict.ended} {verdict.reason}".rstrip()
    first = f"✗ {course.order_id or course.purchase.reference} ({course.purchase.story.name}): expected {expected}, got {got}"
    return Text(f"{first}\n  {'; '.join(verdict.wrong)}\n  last event: {verdict.last_event}", "red")


def _addresses(stack: Mapping[str, Any], *, goes_down: bool) -> Table:
    shown = Table.grid(padding=(0, 2))
    shown.add_column(no_wrap=True, overflow="fold")
    shown.add_column(style="dim", overflow="fold")
    if goes_down:
        shown.add_row("  ./orderbus up", "starts the stack again, which goes down with the demo; its data stays")
        shown.add_row("  ./orderbus demo --keep", "the same run, after which the stack stays up")
    else:
        for name, service in stack["services"].items():
            shown.add_row(f"  {service['url']}/docs", f"the API of {name}")
        if management := stack["rabbitmq"].get("management_url"):
            parts = urlsplit(management)
            shown.add_row(f"  http://{parts.hostname}:{parts.port}", "the broker; .orderbus/stack.json has name and password")
    shown.add_row("  ./orderbus events tail", "everything that is said on the bus, as it is said")
    shown.add_row("  ./orderbus audit", "the same audit at any time")
    return shown


def _verdict(console: Console, outcome: Outcome) -> None:
    total, lost = len(outcome.verdicts), len(outcome.offenders)
    if outcome.ok:
        said = f"{total} orders, {total} accounted for, everything adds up. {outcome.seconds:.1f} s"
    else:
        audit = "adds up" if outcome.audit.ok else "does not add up"
        said = f"{lost} of {total} orders did not end as they must, the audit {audit}. {outcome.seconds:.1f} s"
    colour = "green" if outcome.ok else "red"
    console.print()
    console.print(Panel.fit(Text(said, f"bold {colour}"), border_style=colour) if console.is_terminal else said)
