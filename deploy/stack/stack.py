"""The whole stack of this checkout: three servers, the sandbox and four services; and, if wanted, who watches them."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from deploy.stack import credentials, keys, observability, ports, processes, servers, services, waiting
from deploy.stack.alerts import Alert, firing
from deploy.stack.credentials import Credentials
from deploy.stack.servers import Servers
from deploy.stack.state import Say, StackError, StackFolder, checkout_folder, locked, silent
from deploy.stack.troubles import Troubles, troubles_of
from deploy.stack.undoing import all_or_nothing

FILE = "stack.json"


@dataclass(frozen=True, slots=True)
class Line:
    """One part of the stack, as `status` shows it; of a service that runs, also what needs a look; of Prometheus, what fires."""

    name: str
    state: str
    url: str | None
    pid: int | None
    troubles: Troubles | None = None
    alerts: list[Alert] | None = None


def up(say: Say = silent, folder: StackFolder | None = None, *, observed: bool = False) -> dict[str, Any]:
    """Start what does not run and leave the rest alone; gives what `stack.json` says of it. `observed`: Prometheus too.

    Interrupted or failing, it stops what it had started itself. Not to be called from within an event loop.
    """
    folder = folder or checkout_folder()
    with locked(folder, say), all_or_nothing(folder, partial(_stop, patience=servers.UNDOING_PATIENCE)):
        secrets = credentials.keep(folder)
        token = keys.keep(folder.room("keys"), datetime.now(UTC))
        found = servers.bring_up(folder, say)
        _prepare(found, secrets, say)
        chosen = services.start_services(folder, found, secrets, say)
        if observed or observability.runs(folder):
            observability.bring_up(folder, found, say)
        stack = _describe(folder, found, chosen, token)
        folder.write(FILE, stack)
    return stack


def down(say: Say = silent, *, erase: bool = False, folder: StackFolder | None = None) -> None:
    """Stop all that `up` started, services first; the data stays for the next `up` unless it is to be erased."""
    folder = folder or checkout_folder()
    with locked(folder, say):
        folder.forget(FILE)
        folder.forget(observability.PAUSED)
        ending = [pid for pids in processes.marked(folder).values() for pid in pids]
        _stop(folder, (*observability.ROLES, *services.ROLES))
        servers.take_down(folder, erase=erase, say=say)
        if erase:
            observability.erase(folder)
            keys.end_all_systems_tokens(folder.path / "keys")  # the broker knows none of them any more, to take their tokens back
        # Whatever carries our mark under a role of another version of this program.
        processes.stop(folder, processes.roles(folder))
        # Whoever lists processes sees a dead one until init has taken note of it, which some do once a second only.
        waiting.until(lambda: not any(processes.is_listed(pid) for pid in ending), 3)


def status(folder: StackFolder | None = None) -> list[Line]:
    """Each server, the sandbox and each service: where it is and how it is."""
    folder = folder or checkout_folder()
    stack = folder.read(FILE)
    parts = {name: stack.get(name) for name in ("postgres", "rabbitmq", "redis", "sandbox")}
    parts |= {name: stack.get("services", {}).get(name) for name in credentials.SERVICES}
    parts |= {name: stack[name] for name in observability.SHOWN if name in stack}
    lines = [_line(folder, name, part) for name, part in parts.items()]
    return [_with_what_it_says(line, str(stack.get("token", ""))) for line in lines]


def _with_what_it_says(line: Line, token: str) -> Line:
    if line.name == "prometheus" and line.url is not None:
        return replace(line, alerts=firing(line.url))
    # one that is not ready, for want of the broker, has most to tell
    if line.name not in credentials.SERVICES or line.url is None or line.state == "stopped":
        return line
    return replace(line, troubles=troubles_of(line.url, token))


def _line(folder: StackFolder, name: str, part: dict[str, Any] | None) -> Line:
    process = processes.recorded(folder, name)
    if part is None:
        return Line(name, "half-started" if process else "stopped", None, process.pid if process else None)
    url, is_elsewhere = str(part["url"]), False
    works: bool | None  # None: it says nothing
    if name in servers.SERVERS:
        works, is_elsewhere = _answers(name, url) or None, part["pid"] is None
    elif name in observability.SHOWN:
        works = observability.answers(url) or None
    else:
        works = services.readiness(folder.read(ports.FILE)[name])
    if works:
        return Line(name, "running (named by URL)" if is_elsewhere else "running", url, part["pid"])
    state = "not ready" if works is False else "not answering" if process or is_elsewhere else "stopped"
    return Line(name, state, url, process.pid if process else None)


def _answers(name: str, url: str) -> bool:
    try:
        return servers.SERVERS[name].answers(url)
    except StackError:
        return False


def _prepare(found: Servers, secrets: Credentials, say: Say) -> None:
    from deploy.migrations import MigrationChanged
    from deploy.prepare import NotPrepared, prepare
    from deploy.rabbitmq.management import ManagementError

    bus = found.rabbitmq
    if bus.management_url is None:
        say(
            "ORDERBUS_RABBITMQ_URL came without ORDERBUS_RABBITMQ_MANAGEMENT_URL: no users can be made there, so the services "
            "enter RabbitMQ as the user given, and may do on it what that user may"
        )
    try:
        asyncio.run(
            prepare(found.postgres.superuser_url, bus.url, secrets.role_passwords, bus.management_url, secrets.bus_passwords)
        )
    except (NotPrepared, ManagementError, MigrationChanged) as error:
        raise StackError(str(error)) from error


def _stop(folder: StackFolder, roles: Iterable[str], patience: float = 20) -> None:
    """Who watches first, then the services, then the sandbox that they call, then the servers under them all."""
    wanted = set(roles)
    processes.stop(folder, [role for role in observability.ROLES if role in wanted])
    processes.stop(folder, [role for role in credentials.SERVICES if role in wanted])
    processes.stop(folder, [services.SANDBOX] if services.SANDBOX in wanted else [])
    servers.stop_roles(folder, wanted - {*services.ROLES, *observability.ROLES}, patience)


def _describe(folder: StackFolder, found: Servers, chosen: dict[str, int], token: str) -> dict[str, Any]:
    def running(role: str) -> dict[str, Any]:
        process = processes.recorded(folder, role)
        return {"url": services.address(chosen, role), "pid": process.pid if process else None}

    return {
        "postgres": {
            "url": found.postgres.url,
            "superuser_url": found.postgres.superuser_url,
            "pid": found.postgres.pid,
        },
        "rabbitmq": {
            "url": found.rabbitmq.url,
            "management_url": found.rabbitmq.management_url,
            "metrics_url": found.rabbitmq.metrics_url,
            "pid": found.rabbitmq.pid,
        },
        "redis": {"url": found.redis.url, "pid": found.redis.pid},
        "services": {service: running(service) for service in credentials.SERVICES},
        "sandbox": running(services.SANDBOX),
        **observability.describe(folder),
        "token": token,
    }
