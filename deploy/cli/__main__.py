"""Orderbus: order fulfilment that runs itself."""

from importlib import import_module

import typer

from deploy.cli.telling import minding_the_output

COMMANDS: dict[str, str | None] = {
    "demo": None,
    "stack": None,  # up, down, status
    "test": None,  # test, check
    "audit": None,
    "doctor": None,
    "backup": None,  # backup, restore
    "faults": None,
    "bench": None,
    "dead_letters": "dead-letters",  # list, show, replay, discard
    "events": "events",  # publish, tail
    "orders": "orders",  # timeline
    "systems": "systems",  # add, list, remove, token
    "contracts": None,
}
"""Where each command lives, in the sequence in which `--help` shows them. A module's `app` holds its commands; those
of a module without a name of its own stand at the top. What a command needs it imports when it runs, not before:
`--help` is to be quick."""


def command_line() -> typer.Typer:
    """All of it."""
    root = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
    for module, name in COMMANDS.items():
        root.add_typer(import_module(f"deploy.cli.{module}").app, name=name)
    return root


if __name__ == "__main__":
    with minding_the_output():
        command_line()(prog_name="orderbus")
