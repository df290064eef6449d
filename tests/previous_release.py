"""The release before this version, out of git: what is there must be upgraded from it while it works.

A release is a commit. Its number here is what `git tag` calls it; a clone need not have tags, but must have its history. Where
there is none, as in a shallow clone or an unpacked archive, what asks for it is skipped, and says why.
"""

import os
import subprocess
import sys
import tarfile
import tomllib
from io import BytesIO
from pathlib import Path

import pytest

from deploy.stack.state import CHECKOUT

VERSION = "0.1.0"
COMMIT = "5ddb5ecdf10eb658fd7be1cbf9554d399595ee74"

CODE = ("shared", "services", "deploy", "orderbus", "pyproject.toml", "uv.lock")


class NoSuchCommit(Exception):
    """The history is here, and the previous release is not in it."""


def migrations() -> dict[str, str]:
    """What was in each of its migrations, by path."""
    with tarfile.open(fileobj=BytesIO(_archive("shared", "services"))) as archive:
        return {member.name: _text(archive, member) for member in archive if "/migrations/" in member.name and member.isfile()}


def unpack(folder: Path) -> Path:
    """Put its code into the folder, and give the Python to run it with: this checkout's own, unless its packages were
    others than those that are locked now; then one of its own is made, as its first start would."""
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=_archive(*CODE), check=True)
    if _locked(folder).items() <= _locked(CHECKOUT).items():
        return Path(sys.executable)
    subprocess.run([folder / "orderbus", "--prepare-venv"], check=True)
    return folder / ".venv/bin/python"


def _archive(*paths: str) -> bytes:
    """A tar of what was there. Raises NoSuchCommit."""
    answer = _git("archive", "--format=tar", COMMIT, *paths)
    if answer.returncode == 0:
        return answer.stdout
    said = answer.stderr.decode().strip()
    if _git("rev-parse", "--is-shallow-repository").stdout.strip() != b"false":
        pytest.skip(f"no history, so no release {VERSION}; `git fetch --unshallow` brings it to a shallow clone: {said}")
    raise NoSuchCommit(f"no commit {COMMIT}, which is the previous release {VERSION}: {said}")


def _git(*command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", CHECKOUT, *command], capture_output=True, env={**os.environ, "LC_ALL": "C"})


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    assert file is not None
    return file.read().decode()


def _locked(checkout: Path) -> dict[str, str]:
    packages = tomllib.loads((checkout / "uv.lock").read_text())["package"]
    return {package["name"]: package["version"] for package in packages if "registry" in package["source"]}
