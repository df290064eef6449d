"""What a person sees while it runs: a bar on a terminal, lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

EVERY = 5.0
"""Seconds between two lines."""


class Show(Protocol):
    """How far the bench is."""

    def say(self, sentence: str) -> None: ...
    def begin(self, name: str) -> None: ...
    def follow(self, sent: int, ended: int) -> None: ...


class Lines:
    """For what is not a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 0.0

    def say(self, sentence: str) -> None:
        """A sentence, a line."""
        self._console.print(sentence, markup=False, soft_wrap=True)

    def begin(self, name: str) -> None:
        """A figure is being measured."""
        self.say(f"measuring {name}")
        self._next = time.monotonic() + EVERY

    def follow(self, sent: int, ended: int) -> None:
        """Now and then."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            self.say(f"  {sent:,} orders sent, {ended:,} at their end")


class Bar:
    """For a terminal."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console = console
        self._progress = progress
        self._task = progress.add_task("starting", sent=0, ended=0)

    def say(self, sentence: str) -> None:
        """Above the bar."""
        self._console.print(sentence, markup=False, soft_wrap=True)

    def begin(self, name: str) -> None:
        """The bar begins anew."""
        self._progress.reset(self._task, description=name, sent=0, ended=0)

    def follow(self, sent: int, ended: int) -> None:
        """The bar goes on."""
        self._progress.update(self._task, sent=sent, ended=ended)


@contextmanager
def showing(console: Console) -> Iterator[Show]:
    """Whichever suits the console, for the block."""
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("[bold]{task.description:<12}"),
        TextColumn("{task.fields[sent]:>9,} sent  {task.fields[ended]:>9,} at their end"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(console, progress)
