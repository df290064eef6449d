"""The three servers as containers, where a Docker daemon answers."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy.stack.state import StackError, StackFolder, write_private

LABEL = "orderbus.stack"


@dataclass(frozen=True, slots=True)
class Container:
    """How one server runs in a container: which of its ports is published under which of our names."""

    image: str
    ports: Mapping[str, int]
    environment: Mapping[str, str]
    data: str | None = None
    command: tuple[str, ...] = ()


CONTAINERS: Mapping[str, Container] = {
    "postgres": Container(
        image="postgres:17-alpine",
        ports={"postgres": 5432},
        environment={
            "POSTGRES_USER": "orderbus",
            "POSTGRES_DB": "orderbus",
            "POSTGRES_PASSWORD": "{password}",
            "POSTGRES_INITDB_ARGS": "--encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8",
        },
        data="/var/lib/postgresql/data",
        command=("postgres", "-c", "max_connections=200", "-c", "shared_buffers=256MB", "-c", "max_wal_size=2GB"),
    ),
    "rabbitmq": Container(
        image="rabbitmq:4-management-alpine",
        ports={"rabbitmq": 5672, "rabbitmq_management": 15672, "rabbitmq_prometheus": 15692},
        environment={
            "RABBITMQ_DEFAULT_USER": "orderbus",
            "RABBITMQ_DEFAULT_PASS": "{password}",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-rabbit max_message_size 4194304",
        },
        data="/var/lib/rabbitmq",
    ),
    "redis": Container(
        image="redis:7-alpine",
        ports={"redis": 6379},
        environment={"REDIS_PASSWORD": "{password}"},
        command=(
            "sh",
            "-c",
            "umask 077; printf 'requirepass %s\\nsave \"\"\\nmaxmemory 256mb\\nmaxmemory-policy allkeys-lru\\n'"
            ' "$REDIS_PASSWORD" > /tmp/redis.conf; exec redis-server /tmp/redis.conf',
        ),
    ),
}
"""`{password}` stands for the generated one; it travels in a file that only its owner can read."""


def answers() -> bool:
    """A Docker daemon takes our commands."""
    if shutil.which("docker") is None:
        return False
    try:
        answer = _docker("version", "--format", "{{.Server.Version}}", seconds=5)
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0 and bool(answer.stdout.strip())


def begin(folder: StackFolder, role: str, ports: Mapping[str, int], password: str) -> None:
    """Start the role's container, on the data of an earlier one; returns before the server answers."""
    secrets = folder.room("docker") / f"{role}.env"
    container = CONTAINERS[role]
    write_private(
        secrets,
        "".join(f"{name}={value.format(password=password)}\n" for name, value in container.environment.items()),
    )
    remove(folder, [role])
    answer = _docker(*run_arguments(folder, role, ports))
    if answer.returncode != 0:
        raise StackError(f"docker does not start {role}:\n{answer.stderr.strip()}")


def run_arguments(folder: StackFolder, role: str, ports: Mapping[str, int]) -> list[str]:
    """The `docker run` of a role: loopback only, labelled as this stack's, no secret among the words."""
    container = CONTAINERS[role]
    name = f"orderbus-{folder.id}-{role}"
    arguments = ["run", "--detach", "--name", name, "--hostname", role, "--label", f"{LABEL}={folder.id}"]
    arguments += ["--env-file", str(folder.path / "docker" / f"{role}.env")]
    for port_name, inside in container.ports.items():
        arguments += ["--publish", f"127.0.0.1:{ports[port_name]}:{inside}"]
    if container.data:
        arguments += ["--volume", f"{name}:{container.data}"]
    return [*arguments, container.image, *container.command]


def pid(folder: StackFolder, role: str) -> int | None:
    """The number of the container's process on this machine; None when it does not run."""
    answer = _docker("inspect", "--format", "{{.State.Pid}}", f"orderbus-{folder.id}-{role}")
    number = answer.stdout.strip()
    return int(number) if answer.returncode == 0 and number.isdigit() and number != "0" else None


def last_lines(folder: StackFolder, role: str) -> str:
    answer = _docker("logs", "--tail", "20", f"orderbus-{folder.id}-{role}")
    return f"{answer.stdout}{answer.stderr}".strip()


def remove(folder: StackFolder, roles: Sequence[str]) -> None:
    """Stop the roles' containers and remove them; their data stays."""
    for role in roles:
        name = f"orderbus-{folder.id}-{role}"
        _docker("stop", "--time", "20", name)
        _docker("rm", "--force", name)


def how_to_end(folder: StackFolder) -> str:
    """For a person, where we cannot: the containers, and the volumes that hold the data."""
    of_ours = f"name=orderbus-{folder.id}-"
    return f"`docker ps --all --filter {of_ours}` and `docker volume ls --filter {of_ours}` list it"


def erase(folder: StackFolder, roles: Sequence[str]) -> None:
    """Remove the data for good; the containers must be removed."""
    for role in roles:
        _docker("volume", "rm", "--force", f"orderbus-{folder.id}-{role}")


def _docker(*arguments: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    command = ["docker", *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except FileNotFoundError:  # removed since, with all that it held or not
        return subprocess.CompletedProcess(command, 127, "", "there is no docker on PATH")
