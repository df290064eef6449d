"""A private RabbitMQ, with an epmd of its own, from the machine's own programs."""

import asyncio
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from deploy.stack import ports as port
from deploy.stack import processes, waiting
from deploy.stack.state import Say, StackError, StackFolder, silent, write_private

ROLE = "rabbitmq"
NAME_SERVER = "epmd"
"""Erlang's name server. RabbitMQ would start one for the whole machine and leave it behind."""

PORTS: tuple[str, ...] = ("rabbitmq", "rabbitmq_management", "rabbitmq_prometheus", "rabbitmq_distribution", "epmd")
ADMINISTRATOR = "orderbus"
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""What our consumers refuse unread the broker refuses already: a hundred times 128 MiB, its default, fill any memory."""


def is_installed() -> bool:
    return _program() is not None


def url(ports: Mapping[str, int], password: str) -> str:
    return f"amqp://{ADMINISTRATOR}:{password}@127.0.0.1:{ports['rabbitmq']}/"


def management_url(ports: Mapping[str, int], password: str) -> str:
    return f"http://{ADMINISTRATOR}:{password}@127.0.0.1:{ports['rabbitmq_management']}"


def begin(folder: StackFolder, ports: Mapping[str, int], password: str, say: Say = silent) -> None:
    """Start the server, its name server first; returns before it answers."""
    start = _program()
    if start is None:
        raise StackError("the RabbitMQ server programs are not installed")
    home = folder.room("rabbitmq")
    environment = _environment(folder, home, ports)
    _configure(home, ports, password)
    _begin_name_server(folder, ports, environment)
    processes.spawn(folder, ROLE, [str(start)], environment=environment, directory=home)


def answers(url: str) -> bool:
    """The server takes the administrator's connections."""
    return asyncio.run(_answers(url))


def erase(folder: StackFolder) -> None:
    """Remove the data for good; the server must be down."""
    shutil.rmtree(folder.path / "rabbitmq", ignore_errors=True)


def _program() -> Path | None:
    """The real start script: Debian's on PATH would switch to the user of the machine's standing server."""
    for candidate in ("/usr/lib/rabbitmq/bin/rabbitmq-server", shutil.which("rabbitmq-server", path=_path())):
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate)
    return None


async def _answers(url: str) -> bool:
    import aio_pika
    from aio_pika.exceptions import AMQPError, ProbableAuthenticationError

    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    try:
        connection = await aio_pika.connect(url, timeout=5)
    except ProbableAuthenticationError as error:
        raise StackError("RabbitMQ refuses the user or password it was asked with") from error
    except (OSError, TimeoutError, AMQPError):
        return False
    await connection.close()
    return True


def _begin_name_server(folder: StackFolder, ports: Mapping[str, int], environment: Mapping[str, str]) -> None:
    if processes.recorded(folder, NAME_SERVER) and port.listens(ports["epmd"]):
        return
    processes.stop(folder, [NAME_SERVER])
    command = shutil.which("epmd", path=_path())
    if command is None:
        return  # the server then starts one itself, on the same port and under our mark
    processes.spawn(
        folder,
        NAME_SERVER,
        [command, "-port", str(ports["epmd"]), "-address", "127.0.0.1"],
        environment=environment,
        directory=folder.room("rabbitmq"),
    )
    if not waiting.until(lambda: port.listens(ports["epmd"]), 10):
        raise StackError(f"epmd does not start:\n{processes.last_lines(folder, NAME_SERVER)}")


def _configure(home: Path, ports: Mapping[str, int], password: str) -> None:
    write_private(
        home / "rabbitmq.conf",
        f"""\
listeners.tcp.1 = 127.0.0.1:{ports["rabbitmq"]}
management.tcp.ip = 127.0.0.1
management.tcp.port = {ports["rabbitmq_management"]}
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = {ports["rabbitmq_prometheus"]}
max_message_size = {MAX_MESSAGE_BYTES}
default_user = {ADMINISTRATOR}
default_pass = {password}
default_user_tags.administrator = true
log.console = true
log.console.level = info
log.file = false
""",
    )
    write_private(home / "enabled_plugins", "[rabbitmq_management,rabbitmq_prometheus].\n")
    write_private(home / "rabbitmq-env.conf", "")


def _environment(folder: StackFolder, home: Path, ports: Mapping[str, int]) -> dict[str, str]:
    """Everything that RabbitMQ would otherwise share with the machine's standing server, private."""
    return {
        **processes.plain_environment(),
        "PATH": _path(),
        "HOME": str(home),  # Erlang's cookie
        "RABBITMQ_NODENAME": f"orderbus-{folder.id}@localhost",
        "RABBITMQ_NODE_PORT": str(ports["rabbitmq"]),
        "RABBITMQ_DIST_PORT": str(ports["rabbitmq_distribution"]),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": str(home / "conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(home / "rabbitmq-env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "config"),
        "RABBITMQ_SCHEMA_DIR": str(home / "schema"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_CRASH_DUMP": str(home / "erl_crash.dump"),
        # The script then becomes the server instead of watching over it: our signals reach the server itself.
        "RUNNING_UNDER_SYSTEMD": "true",
    }


def _path() -> str:
    return processes.plain_environment()["PATH"]
