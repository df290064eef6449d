"""Where the running stack is, for commands that talk to it."""

import os
from typing import Any

from deploy.cli.telling import fail


def stack() -> dict[str, Any]:
    """What .orderbus/stack.json says; ends the command with a clear message when no stack runs."""
    from deploy.stack.stack import FILE
    from deploy.stack.state import checkout_folder

    found = checkout_folder().read(FILE)
    if not found:
        fail("the stack does not run here; start it with ./orderbus up")
    return found


def postgres_url() -> str:
    """The database, entered as who may read all four schemas: of ORDERBUS_POSTGRES_URL, else of the running stack."""
    return os.environ.get("ORDERBUS_POSTGRES_URL") or str(stack()["postgres"]["superuser_url"])
