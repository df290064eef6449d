"""Postgres's own tools: a whole database into a file, and back. Owners and rights stay out of it: `deploy.prepare` gives them
anew, so that a backup can be restored under another database's name, with other passwords."""

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deploy.stack import postgres, processes
from deploy.stack.state import StackError


def dump(url: str, snapshot: str, file: Path) -> None:
    """Write what the exported snapshot shows in the custom format. Raises StackError."""
    _run("pg_dump", url, "--format=custom", f"--snapshot={snapshot}", f"--file={file}")


def load(file: Path, url: str) -> None:
    """Fill an empty database, wholly or not at all. Raises StackError."""
    _run("pg_restore", url, "--exit-on-error", "--single-transaction", str(file))


def _run(program: str, url: str, *arguments: str) -> None:
    parts = urlsplit(url)  # the password goes by the environment: everybody can read command lines
    place = parts._replace(netloc=f"{parts.username or ''}@{parts.netloc.rpartition('@')[2]}").geturl()
    answer = subprocess.run(
        [_path_of(program), "--no-owner", "--no-privileges", f"--dbname={place}", *arguments],
        env={**processes.plain_environment(), "PGPASSWORD": unquote(parts.password or "")},
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise StackError(f"{program} failed:\n{answer.stderr.strip()}")


def _path_of(program: str) -> str:
    folder = postgres.programs()
    if folder and os.access(folder / program, os.X_OK):
        return str(folder / program)
    if found := shutil.which(program):
        return found
    raise StackError(f"{program} is not installed: it comes with the postgresql-client of the server's version, or a newer one")
