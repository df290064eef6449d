"""What every command says in the same way, apart from what a program reads on the standard output."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer


def narrate(sentence: str) -> None:
    """Tell a person what is going on."""
    print(f"orderbus: {sentence}", file=sys.stderr, flush=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with a message instead of a traceback."""
    narrate(message)
    raise typer.Exit(code)


@contextmanager
def explaining_trouble() -> Iterator[None]:
    """What keeps the stack from running is told in words, not as a traceback."""
    from deploy.stack.state import StackError

    try:
        yield
    except StackError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted: what this command had started is stopped", 130)
