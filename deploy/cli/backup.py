"""backup and restore: all that the services know, at one moment."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.telling import explaining_trouble, narrate

app = typer.Typer()

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder.")]


@app.command()
def backup(folder: Folder) -> None:
    """Write all that the services know, and what is on the bus, as of one moment, into a new folder. Everything goes on
    meanwhile."""
    from deploy.backup import take
    from deploy.cli.addresses import postgres_url, stack

    rabbitmq_url = os.environ.get("ORDERBUS_RABBITMQ_URL") or stack()["rabbitmq"]["url"]
    with explaining_trouble():
        about = asyncio.run(take(postgres_url(), rabbitmq_url, folder, narrate))
    print(f"{folder}: {about['moment']}, with {about['messages']} messages that were on their way")


@app.command()
def restore(
    folder: Folder,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether what is there now may be given up.")] = False,
) -> None:
    """Put a backup in the place of what the services know now. They are stopped meanwhile; docs/runbooks/restore.md says
    what to do after."""
    from deploy.backup import restore as put_back

    if not yes:
        typer.confirm(f"Give up all that this stack holds now, for what is in {folder}?", abort=True)
    with explaining_trouble():
        about = put_back(folder, narrate)
    print(f"restored to {about['moment']}; next: ./orderbus audit, and docs/runbooks/restore.md")
