"""A folder for servers that nobody else uses: they may be killed, reconfigured and thrown away."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.stack import stack
from deploy.stack.servers import FILE, Source
from deploy.stack.state import StackFolder, open_folder

NAMED_BY_URL = (
    "ORDERBUS_POSTGRES_URL",
    "ORDERBUS_RABBITMQ_URL",
    "ORDERBUS_RABBITMQ_MANAGEMENT_URL",
    "ORDERBUS_RABBITMQ_METRICS_URL",
    "ORDERBUS_REDIS_URL",
)


@contextmanager
def a_private_folder(purpose: str) -> Iterator[StackFolder]:
    """Whatever stack is started there in the block uses no server that is named by URL, and is gone after it."""
    named = {name: os.environ.pop(name) for name in NAMED_BY_URL if name in os.environ}
    folder = open_folder(Path(tempfile.mkdtemp(prefix=f"orderbus-{purpose}-")))
    try:
        # the machine's own programs, where it has them: a container takes no signals
        folder.write(FILE, dict.fromkeys(("postgres", "rabbitmq", "redis"), Source.PROGRAMS))
        yield folder
    finally:
        stack.down(folder=folder, erase=True)
        shutil.rmtree(folder.path, ignore_errors=True)
        os.environ.update(named)
