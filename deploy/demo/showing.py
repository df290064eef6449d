"""How the demo is watched: a live picture on a terminal, a line every few seconds elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from deploy.demo.running import Progress
from deploy.demo.stocking import Stocked

COLOURS = {
    "sent": "white",
    "placed": "white",
    "paid": "yellow",
    "shipped": "green",
    "delivered": "green",
    "completed": "bright_green",
    "refunded": "cyan",
    "cancelled": "red",
    "held": "magenta",
    "rejected": "bright_red",
}
"""Each status, in the sequence in which an order may come by them, with its colour."""

BAR = 40
EVERY = 2.0
"""Seconds between two lines where there is no terminal."""


class Screen:
    """A live picture that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._picture: RenderableType = ""

    @contextmanager
    def live(self) -> Iterator[None]:
        """Draw while the block runs; the last picture of the orders stays."""
        with Live(console=self._console, refresh_per_second=10, transient=True) as self._live:
            yield
        self._live = None

    def stocked(self, stocked: Stocked) -> None:
        self._console.print(f"[green]✓[/] {told(stocked)}")

    def progressed(self, progress: Progress) -> None:
        self._picture = picture(progress)
        self._draw(self._picture)

    def says(self, sentence: str) -> None:
        self._draw(Group(self._picture, Spinner("dots", text=Text(sentence))))

    def keep(self) -> None:
        """Leave the last picture of the orders on the screen."""
        self._console.print(self._picture)

    def _draw(self, what: RenderableType) -> None:
        if self._live is not None:
            self._live.update(what)


class Lines:
    """Plain lines, few of them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0
        self._told: tuple[object, ...] = ()

    @contextmanager
    def live(self) -> Iterator[None]:
        """Nothing is drawn."""
        yield

    def stocked(self, stocked: Stocked) -> None:
        self._line(told(stocked))

    def progressed(self, progress: Progress) -> None:
        is_over = progress.ended == progress.orders
        has_moved = (progress.handed_in, progress.ended, progress.statuses) != self._told
        if is_over or (has_moved and time.monotonic() >= self._next):
            self._next = time.monotonic() + EVERY
            self._told = (progress.handed_in, progress.ended, progress.statuses)
            self._line(line(progress))

    def says(self, sentence: str) -> None:
        self._line(sentence)

    def keep(self) -> None:
        """Lines stay by themselves."""

    def _line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)


def told(stocked: Stocked) -> str:
    """What was done for the shop, in one line."""
    created = f"{stocked.created} of them new, " if stocked.created else ""
    return f"the shop sells {stocked.articles} articles, {created}{stocked.pieces} pieces were brought in for the run"


def line(progress: Progress) -> str:
    """How far the orders are, in one line."""
    statuses = ", ".join(f"{progress.statuses[status]} {status}" for status in COLOURS if progress.statuses[status])
    seconds, handed_in, ended = progress.seconds, progress.handed_in, progress.ended
    return f"{seconds:5.1f} s  {handed_in} handed in, {ended} of {progress.orders} at their end: {statuses}"


def picture(progress: Progress) -> RenderableType:
    """How far the orders are, as bars."""
    bars = Table.grid(padding=(0, 2))
    for name, done in (("handed in", progress.handed_in), ("at their end", progress.ended)):
        bar = ProgressBar(total=progress.orders, completed=done, width=BAR)
        bars.add_row(Text(name, "bold"), bar, f"{done}/{progress.orders}")
    statuses = Table.grid(padding=(0, 2))
    for status, colour in COLOURS.items():
        count = progress.statuses[status]
        length = -(-count * BAR // progress.orders)
        bar_of = Text("█" * length + "·" * (BAR - length), colour if count else "dim")
        statuses.add_row(Text(f"{status:>12}", colour if count else "dim"), bar_of, Text(str(count), "bold" if count else "dim"))
    beat = f"{progress.events:,} events heard on the bus in {progress.seconds:.1f} s"
    return Padding(Group(bars, "", statuses, Text(f"\n{'':14}{beat}", "dim")), (1, 2))
