"""What is printed on: a terminal with colours and frames, or plain lines where a program or a file reads, or where a
terminal is too narrow for a table."""

import sys
from typing import TextIO

from rich.console import Console

WIDE = 160
"""Columns of a line that no terminal breaks."""


class _WithoutTrailingSpace:
    """A stream whose lines end where their text does: tables fill up every column."""

    encoding = "utf-8"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write("\n".join(line.rstrip() for line in text.split("\n")))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def paper(stream: TextIO | None = None, least: int = 0) -> Console:
    """A console on the stream, which is the standard output unless said. A terminal of fewer than `least` columns is given
    plain lines, which it breaks: a table would leave out what it has no room for."""
    stream = stream or sys.stdout
    terminal = Console(file=stream, highlight=False)
    if terminal.is_terminal and terminal.width >= least:
        return terminal
    plain: TextIO = _WithoutTrailingSpace(stream)  # type: ignore[assignment]
    return Console(file=plain, width=WIDE, color_system=None, force_terminal=False, highlight=False)
