"""The stack's folder: what is written down there, for its owner only."""

import fcntl
import hashlib
import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]

PLACE = "place.json"
"""Where the folder was made."""

Say = Callable[[str], None]


class StackError(Exception):
    """The stack cannot be brought up or taken down; the message says why and what to do."""


def silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class StackFolder:
    """Where one stack keeps its state; two folders never share a process, a port or a secret."""

    path: Path

    @property
    def id(self) -> str:
        """Short, and different for every folder on this machine."""
        return hashlib.sha256(str(self.path).encode()).hexdigest()[:12]

    def room(self, name: str) -> Path:
        """A folder within, made when missing."""
        room = self.path / name
        room.mkdir(mode=0o700, parents=True, exist_ok=True)
        return room

    def log(self, role: str) -> Path:
        return self.room("logs") / f"{role}.log"

    def read(self, name: str) -> dict[str, Any]:
        """What was written under this name; nothing when it is missing or was torn."""
        try:
            content = json.loads((self.path / name).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write all of it or nothing, readable by its owner only."""
        write_private(self.path / name, json.dumps(content, indent=2) + "\n")

    def forget(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


def open_folder(path: Path) -> StackFolder:
    """The folder at `path`, made when missing, closed to other users."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return StackFolder(path.resolve())


def checkout_folder() -> StackFolder:
    """The stack of this checkout. Raises StackError when it was made elsewhere."""
    folder = open_folder(CHECKOUT / ".orderbus")
    _must_have_stayed(folder)
    return folder


def _must_have_stayed(folder: StackFolder) -> None:
    """Processes, containers and data are known by where the folder was first: moved, it would begin with empty ones, and a copy
    is another stack."""
    made_at = folder.read(PLACE).get("made_at")
    if made_at is None:
        folder.write(PLACE, {"made_at": str(folder.path)})
    elif made_at != str(folder.path):
        raise StackError(
            f"{folder.path} was made at {made_at}, and its servers' data is known by that name: move the checkout back there. "
            f"If this is a copy, or that data may be given up: rm -r {shlex.quote(str(folder.path))}"
        )


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; it is 0600 from its first byte on."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


@contextmanager
def locked(folder: StackFolder, say: Say = silent) -> Iterator[None]:
    """One start or stop at a time; the kernel frees the lock however its holder ends."""
    with open(folder.path / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another start or stop of this stack is under way: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
