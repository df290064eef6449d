"""What every command says in the same way, apart from what a program reads on the standard output."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

COULD_NOT_LOOK = 2
"""The exit code of who was to look and could not. What a schedule must not take for something that was found, which is 1."""


def narrate(sentence: str) -> None:
    """Tell a person what is going on."""
    print(f"orderbus: {sentence}", file=sys.stderr, flush=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with a message instead of a traceback."""
    narrate(message)
    raise typer.Exit(code)


class _CannotTell(Exception):
    """The standard output takes nothing: its disk is full, or who read it is gone."""


class _Output(io.TextIOWrapper):
    """The standard output, whose own failures are told from those of what a command does."""

    def write(self, text: str) -> int:
        with _telling():
            return super().write(text)

    def flush(self) -> None:
        with _telling():
            super().flush()


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _CannotTell from error


@contextmanager
def minding_the_output() -> Iterator[None]:
    """A command whose answer cannot be written ends as one that could not look, without a traceback; in silence where who read
    has had enough."""
    out = sys.stdout
    if not isinstance(out, io.TextIOWrapper):  # it is closed
        yield
        return
    sys.stdout = told = _Output(
        out.buffer, out.encoding, out.errors, line_buffering=out.line_buffering, write_through=out.write_through
    )
    try:
        try:
            yield
        finally:
            told.flush()
    except _CannotTell as error:
        if not isinstance(error.__cause__, BrokenPipeError):
            narrate(f"the standard output cannot be written: {error.__cause__}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # what is left in the buffer goes nowhere when Python ends
        sys.exit(COULD_NOT_LOOK)


@contextmanager
def explaining_trouble(interrupted: str = "what this command had started is stopped", code: int = 1) -> Iterator[None]:
    """What keeps the stack from running is told in words, not as a traceback. `interrupted`: what Ctrl-C leaves behind."""
    from deploy.stack.state import StackError

    try:
        yield
    except StackError as error:
        fail(str(error), code)
    except OSError as error:
        fail(_in_words(error), code)
    except KeyboardInterrupt:
        fail(f"interrupted: {interrupted}", 130)


def _in_words(error: OSError) -> str:
    """A full disk, a file of somebody else's, a server that does not answer."""
    said = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error) or repr(error)
    if isinstance(error, (ConnectionError, TimeoutError)):
        said += "; if that is this checkout's, ./orderbus up starts it"
    return said
