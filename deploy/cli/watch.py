"""`orderbus status --watch`: the stack, live."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Group

    from deploy.stack.vitals import Look, Pulse

EVERY = 2.0
"""Seconds between two looks. The services measure themselves every five, and RabbitMQ its queues."""

QUEUES_SHOWN = 12


async def watch(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Until it is interrupted. `found`: what stack.json says."""
    from rich.live import Live

    if as_json:
        async for now, pulses in _looks(found):
            print(json.dumps(_told(now, pulses)), flush=True)
        return
    with Live(auto_refresh=False, screen=True) as shown:
        async for now, pulses in _looks(found):
            shown.update(screen(now, pulses), refresh=True)


async def _looks(found: Mapping[str, Any]) -> AsyncIterator[tuple[Look, dict[str, Pulse]]]:
    from deploy.stack.vitals import look

    before = await look(found)
    while True:
        await asyncio.sleep(EVERY)
        now = await look(found)
        yield now, now.pulses(before)
        before = now


def _told(now: Look, pulses: Mapping[str, Pulse]) -> dict[str, Any]:
    from deploy.cli.stack import as_shown

    beats = {name: asdict(pulse) for name, pulse in pulses.items()}
    return {"parts": [as_shown(line) for line in now.lines], "pulses": beats, "queues": [asdict(queue) for queue in now.queues]}


def screen(now: Look, pulses: Mapping[str, Pulse]) -> Group:
    """What a person sees: each part with what it does and what needs a look, the alerts that fire, then the fullest queues."""
    from rich.console import Group
    from rich.table import Table

    from deploy.cli.stack import alerts_of, alerts_table, coloured, in_words

    parts = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    queues = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("", "state", "handled/s", "published/s", "lag ms", "outbox", "needs a look"):
        parts.add_column(name, justify="right" if name in ("handled/s", "published/s", "lag ms", "outbox") else "left")
    for line in now.lines:
        beats = _in_columns(pulses[line.name]) if line.name in pulses else ("", "", "", "")
        parts.add_row(line.name, coloured(line.state), *beats, f"[red]{in_words(line.troubles)}")
    for name in ("queue", "waiting", "in hand"):
        queues.add_column(name, justify="left" if name == "queue" else "right")
    for queue in now.queues[:QUEUES_SHOWN]:
        queues.add_row(queue.name, f"{queue.waiting:,}", f"{queue.in_hand:,}")
    waiting = queues if now.queues else "[dim]every queue is empty[/]"
    fires = alerts_of(now.lines)
    alerts = Group(alerts_table(fires), "") if fires else Group()
    return Group(parts, "", alerts, waiting, "", "[dim]Ctrl-C ends it[/]")


def _in_columns(pulse: Pulse) -> tuple[str, str, str, str]:
    lag = "" if pulse.lag_ms is None else f"{pulse.lag_ms:,.0f}"
    return f"{pulse.handled_per_second:,.0f}", f"{pulse.published_per_second:,.0f}", lag, f"{pulse.outbox:,}"
