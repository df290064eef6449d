"""A private Redis from the machine's own programs. It counts for rate limits: nothing of it is kept on disk."""

import shutil
from collections.abc import Mapping

from deploy.stack import processes
from deploy.stack.state import Say, StackError, StackFolder, silent, write_private

ROLE = "redis"
PORTS: tuple[str, ...] = ("redis",)


def is_installed() -> bool:
    return _program() is not None


def url(ports: Mapping[str, int], password: str) -> str:
    return f"redis://:{password}@127.0.0.1:{ports['redis']}/0"


def begin(folder: StackFolder, ports: Mapping[str, int], password: str, say: Say = silent) -> None:
    """Start the server; returns before it answers."""
    start = _program()
    if start is None:
        raise StackError("the Redis server program is not installed")
    home = folder.room("redis")
    write_private(
        home / "redis.conf",
        f"""\
bind 127.0.0.1
port {ports["redis"]}
requirepass {password}
dir "{home}"
save ""
appendonly no
maxmemory 256mb
maxmemory-policy allkeys-lru
set-proc-title no
""",
    )
    processes.spawn(
        folder,
        ROLE,
        [start, str(home / "redis.conf")],
        environment=processes.plain_environment(),
        directory=home,
    )


def answers(url: str) -> bool:
    """The server takes our password and answers."""
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            return bool(client.ping())
    except redis.AuthenticationError as error:
        raise StackError("Redis refuses the user or password it was asked with") from error
    except (redis.ConnectionError, redis.TimeoutError):
        return False


def erase(folder: StackFolder) -> None:
    """Remove what the server left; it must be down."""
    shutil.rmtree(folder.path / "redis", ignore_errors=True)


def _program() -> str | None:
    path = processes.plain_environment()["PATH"]
    return shutil.which("redis-server", path=path) or shutil.which("valkey-server", path=path)
