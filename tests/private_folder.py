"""A folder for servers that nobody else uses: they may be killed, reconfigured and thrown away."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from deploy.stack import postgres, stack
from deploy.stack.servers import FILE, Source
from deploy.stack.state import StackFolder, open_folder

NAMED_BY_URL = (
    "ORDERBUS_POSTGRES_URL",
    "ORDERBUS_RABBITMQ_URL",
    "ORDERBUS_RABBITMQ_MANAGEMENT_URL",
    "ORDERBUS_RABBITMQ_METRICS_URL",
    "ORDERBUS_REDIS_URL",
)

MEMORY = Path("/dev/shm")
ENOUGH = 4 * 1024**3
"""Bytes: several times the 700 MB that all servers of a run have written at most."""

_place: Path | None = None


def best_place() -> Path:
    """Memory, where the machine has so much: a process that is killed loses nothing there, and nobody waits for a disk."""
    has_room = os.access(MEMORY, os.W_OK) and min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available) > ENOUGH
    return MEMORY if has_room else Path(tempfile.gettempdir())


def keep_in(place: Path) -> None:
    """What the servers of this process write goes there; unless it is said, as for the commands `bench` and `faults`, to disk."""
    global _place
    _place = place
    if place == MEMORY:
        postgres.ELSEWHERE = place


def a_folder_for(purpose: str) -> Path:
    """A new one, for servers."""
    return Path(tempfile.mkdtemp(prefix=f"orderbus-{purpose}-", dir=_place))


@contextmanager
def a_private_folder(purpose: str) -> Iterator[StackFolder]:
    """Whatever stack is started there in the block uses no server that is named by URL, and is gone after it."""
    named = {name: os.environ.pop(name) for name in NAMED_BY_URL if name in os.environ}
    folder = open_folder(a_folder_for(purpose))
    try:
        # the machine's own programs, where it has them: a container takes no signals
        folder.write(FILE, dict.fromkeys(("postgres", "rabbitmq", "redis"), Source.PROGRAMS))
        yield folder
    finally:
        stack.down(folder=folder, erase=True)
        shutil.rmtree(folder.path, ignore_errors=True)
        os.environ.update(named)
