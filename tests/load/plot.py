"""The figures as a picture: throughput beside the floor, and how soon an order's shopper knows."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from tests.load.results import CPU, RATE, Findings, points

WIDTH, LEFT, BAR, GAP = 760, 130, 18, 8
ROOM = WIDTH - LEFT - 250
"""For bars; the rest is for names and numbers."""

FLOOR, OURS, SLOWEST = "#9aa5b1", "#2b6cb0", "#90cdf4"

Row = tuple[str, list[tuple[float, str]], str]
"""A name, bars from the longest to the shortest with their colours, and what is said beside them."""


def draw(findings: Findings, path: Path) -> None:
    """Write it there."""
    figures = findings.as_dict()
    throughput = [_rate("floor", figures["floor"], FLOOR)]
    throughput += [
        _rate(point, values, OURS)
        for name, figure in findings.figures.items()
        if name not in ("latency", "reads")
        for point, values in points(name, figure)
    ]
    panels = [("orders a second, and CPU time an order", throughput)]
    if "latency" in findings.figures:
        times = [_latency(f"{rate} orders/s", values) for rate, values in findings.figures["latency"].values.items()]
        panels.append(("milliseconds from POST to tracking.pushed: median (dark) and 99th of a hundred (light)", times))
    path.write_text(_picture(panels))


def _rate(name: str, values: dict[str, Any], colour: str) -> Row:
    share = f", {values['of_floor']:.2f} of the floor" if values.get("of_floor") else ""
    return name, [(values[RATE], colour)], f"{values[RATE]:,.0f}/s{share}, {values[CPU]:.2f} ms"


def _latency(name: str, values: dict[str, Any]) -> Row:
    median, slow = values["p50_ms"] or 0, values["p99_ms"] or 0
    return name, [(slow, SLOWEST), (median, OURS)], f"{median:,.0f} and {slow:,.0f} ms"


def _picture(panels: Iterable[tuple[str, list[Row]]]) -> str:
    shapes: list[str] = []
    y = 10
    for title, rows in panels:
        y += 20
        shapes.append(f'<text x="10" y="{y}" font-weight="bold">{escape(title)}</text>')
        y += 14
        longest = max((length for _, bars, _ in rows for length, _ in bars), default=0) or 1
        for name, bars, told in rows:
            shapes += _bars(name, bars, told, y, longest)
            y += BAR + GAP
        y += 10
    style = 'font-family="system-ui, sans-serif" font-size="13" fill="#1a202c"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" {style}>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *shapes, "</svg>", ""])


def _bars(name: str, bars: list[tuple[float, str]], told: str, y: int, longest: float) -> list[str]:
    baseline = y + BAR - 5
    shapes = [f'<text x="{LEFT - 10}" y="{baseline}" text-anchor="end">{escape(name)}</text>']
    for length, colour in bars:
        shapes.append(
            f'<rect x="{LEFT}" y="{y}" width="{max(1.0, ROOM * length / longest):.1f}" height="{BAR}" fill="{colour}" rx="2"/>'
        )
    end = LEFT + ROOM * max(length for length, _ in bars) / longest
    return [*shapes, f'<text x="{end + 8:.1f}" y="{baseline}">{escape(told)}</text>']
