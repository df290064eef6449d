"""Where the running stack is, for commands that talk to it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deploy.cli.telling import explaining_trouble, fail


def stack(code: int = 1) -> dict[str, Any]:
    """What .orderbus/stack.json says; ends the command with a clear message, and this code, when no stack runs."""
    from deploy.stack.stack import FILE
    from deploy.stack.state import checkout_folder

    with explaining_trouble(code=code):
        found = checkout_folder().read(FILE)
    if not found:
        fail("the stack does not run here; start it with ./orderbus up", code)
    return found


def postgres_url(code: int = 1) -> str:
    """The database, entered as who may read all four schemas: of ORDERBUS_POSTGRES_URL, else of the running stack."""
    return named("postgres", code) or str(stack(code)["postgres"]["superuser_url"])


def named(server: str, code: int = 1) -> str | None:
    """The URL that names this server; what is none ends the command with a message."""
    from deploy.stack import urls

    variable = urls.variable(server)
    url = os.environ.get(variable)
    if url and not urls.is_of_form(server, url):
        fail(f"{variable} {urls.wanted(server)}", code)
    return url or None


@contextmanager
def asking_postgres() -> Iterator[None]:
    """Why Postgres does not do what it is asked for becomes a StackError."""
    import asyncpg

    from deploy.stack.state import StackError

    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StackError(f"Postgres says: {error}") from error
