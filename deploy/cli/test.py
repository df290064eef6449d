"""test and check: what CI runs, and what runs before each commit."""

import os
import subprocess
import sys
from itertools import pairwise
from typing import Annotated

import typer

from deploy.cli.telling import fail
from deploy.stack.state import CHECKOUT

app = typer.Typer()

CHECKS = {
    "ruff check": ["ruff", "check"],
    "ruff format": ["ruff", "format", "--check"],
    "mypy": ["mypy"],
    "import-linter": ["lint-imports"],
}

WITHOUT_SERVERS = ["tests/unit", "tests/contracts"]

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command("test", context_settings=PASSED_ON)
def run_tests(
    context: typer.Context,
    fast: Annotated[bool, typer.Option("--fast", help="Only what needs no servers: a matter of seconds.")] = False,
) -> None:
    """Run the checks, then the tests. Further arguments are pytest's."""
    if missing := missing_path(context.args):
        fail(f"there is no {missing} in {CHECKOUT}")
    if not run_checks():
        raise typer.Exit(1)
    folders = [folder for folder in WITHOUT_SERVERS if (CHECKOUT / folder).is_dir()] if fast else []
    raise typer.Exit(_run(["pytest", *folders, *context.args]).returncode)


def missing_path(arguments: list[str]) -> str | None:
    """The first path that is not there: pytest with several processes says no more than that no tests ran. What follows an
    option may be its value."""
    for before, argument in pairwise(["", *arguments]):
        if not argument.startswith("-") and not before.startswith("-") and not (CHECKOUT / argument.partition("::")[0]).exists():
            return argument
    return None


@app.command()
def check() -> None:
    """Style, types and the layer rules, without running anything."""
    if not run_checks():
        raise typer.Exit(1)


def run_checks() -> bool:
    """Run all of them, whatever the first ones say; a failing one says what it found."""
    failed = []
    for name, command in CHECKS.items():
        answer = _run(command, quiet=True)
        print(f"{name:<14} {'ok' if answer.returncode == 0 else 'FAILED'}", flush=True)
        if answer.returncode != 0:
            print(f"{answer.stdout}{answer.stderr}".rstrip(), flush=True)
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", flush=True)
    return not failed


def _run(command: list[str], *, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a tool of this checkout's own .venv in the checkout, wherever the caller stands."""
    program = os.path.join(os.path.dirname(sys.executable), command[0])
    return subprocess.run([program, *command[1:]], cwd=CHECKOUT, capture_output=quiet, text=True, check=False)
