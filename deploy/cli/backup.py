"""backup and restore: all that the services know, at one moment."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.telling import explaining_trouble, narrate

app = typer.Typer()

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder.")]

Backup = Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The backup's folder.")]

CUT_SHORT = "say restore again before anything else; docs/runbooks/restore.md says why"


@app.command()
def backup(folder: Folder) -> None:
    """Write all that the services know, and what is on the bus, as of one moment, into a new folder. Everything goes on
    meanwhile."""
    from deploy.backup import take
    from deploy.cli.addresses import asking_postgres

    with explaining_trouble("there is no backup"), asking_postgres():
        about = asyncio.run(take(*_addresses(), folder, narrate))
    print(f"{folder}: {about['moment']}, with {about['messages']} messages that were on their way")


@app.command()
def restore(
    folder: Backup,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether what is there now may be given up.")] = False,
    up: Annotated[
        bool,
        typer.Option(
            "--up", help="On servers named by URL too, stop this checkout's services before, and do what `up` does after."
        ),
    ] = False,
) -> None:
    """Put a backup in the place of what the services know now. This checkout's are stopped meanwhile; on servers named by URL
    nothing is stopped, started or given a password. docs/runbooks/restore.md says what to do before and after."""
    from deploy.backup import is_elsewhere
    from deploy.backup import restore as put_back
    from deploy.cli.addresses import asking_postgres

    if not yes:
        typer.confirm(f"Give up all that {_holder()} now, for what is in {folder}?", abort=True)
    with explaining_trouble(CUT_SHORT), asking_postgres():
        about = put_back(folder, narrate, up=up)
    if is_elsewhere() and not up:
        print(f"restored to {about['moment']}; the services' rights are still to be given. Next: deploy.prepare as this")
        print("installation runs it, then its services, ./orderbus audit, and docs/runbooks/restore.md")
    else:
        print(f"restored to {about['moment']}; next: ./orderbus audit, and docs/runbooks/restore.md")


def _addresses() -> tuple[str, str]:
    """The database and the bus of one installation: named by URL, else the running stack's. Raises StackError."""
    from deploy.cli.addresses import named, stack
    from deploy.stack.state import StackError

    postgres, rabbitmq = named("postgres"), named("rabbitmq")
    if postgres and rabbitmq:
        return postgres, rabbitmq
    running = stack()
    ours = str(running["postgres"]["superuser_url"]), str(running["rabbitmq"]["url"])
    if postgres not in (None, ours[0]) or rabbitmq not in (None, ours[1]):
        raise StackError("a backup is of a database and of its bus: ORDERBUS_POSTGRES_URL and ORDERBUS_RABBITMQ_URL, or neither")
    return ours


def _holder() -> str:
    from deploy.backup import is_elsewhere
    from deploy.cli.stack import without_password
    from deploy.stack import urls

    if not is_elsewhere():
        return "this stack holds"
    named = (os.environ.get(urls.variable(server)) for server in ("postgres", "rabbitmq"))
    return f"{' and '.join(without_password(url) for url in named if url)} hold"
