"""What is printed on: a terminal with colours and frames, or plain lines where a program or a file reads."""

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


def paper(stream: TextIO | None = None) -> Console:
    """A console on the stream, which is the standard output unless said."""
    stream = stream or sys.stdout
    if Console(file=stream).is_terminal:
        return Console(file=stream, highlight=False)
    plain: TextIO = _WithoutTrailingSpace(stream)  # type: ignore[assignment]
    return Console(file=plain, width=WIDE, color_system=None, force_terminal=False, highlight=False)
