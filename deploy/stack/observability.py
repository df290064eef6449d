"""Prometheus with the shipped configuration, Alertmanager, exporters for Postgres and Redis: the machine's own programs; and
the audit, once a minute."""

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from deploy.stack import packages, ports, processes, waiting
from deploy.stack.credentials import SERVICES
from deploy.stack.servers import Servers
from deploy.stack.state import CHECKOUT, Say, StackError, StackFolder, write_private

SHIPPED = CHECKOUT / "deploy" / "prometheus"
TOLD = CHECKOUT / "deploy" / "alertmanager" / "alertmanager.yml"

PACKAGES: Mapping[str, str] = {
    "prometheus": "prometheus",
    "alertmanager": "prometheus-alertmanager",
    "postgres_exporter": "prometheus-postgres-exporter",
    "redis_exporter": "prometheus-redis-exporter",
}
"""Debian calls each package as its program."""

ROLES = (*PACKAGES, "audit")
"""In the sequence in which they are stopped."""

SHOWN = ("prometheus", "alertmanager")
"""What has a page for a person, and so a place in stack.json."""

PATIENCE = 30.0

PAUSED = "observability.json"
"""There for as long as they stand still only because something else has to be done without them."""


@dataclass(frozen=True, slots=True)
class Program:
    """How one of them is started. `environment` holds what must not be among the words of its command."""

    command: Sequence[str]
    environment: Mapping[str, str]
    health: str

    def fingerprint(self, *files: Path) -> str:
        """Another one needs a restart."""
        told = [json.dumps([self.command, dict(self.environment)]), *(path.read_text() for path in files)]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def runs(folder: StackFolder) -> bool:
    """It was asked for, and has not been stopped for good."""
    return processes.recorded(folder, "prometheus") is not None or bool(folder.read(PAUSED))


def pause(folder: StackFolder) -> None:
    """Stop them until the next `bring_up`, even if whoever says this does not live to see it."""
    if runs(folder):
        folder.write(PAUSED, {"paused": True})
    processes.stop(folder, ROLES)


def install(say: Say) -> None:
    """All four programs, and promtool, are there afterwards."""
    missing = [package for package in PACKAGES.values() if _program(package) is None]
    if missing and packages.can_install():
        packages.install_packages(missing, say)
    if missing := [package for package in PACKAGES.values() if _program(package) is None]:
        raise StackError(
            f"Missing: {', '.join(missing)}. Debian, Ubuntu:  sudo apt-get install {' '.join(missing)}\n"
            "Elsewhere: programs of these names on the PATH, or `docker compose --profile observability up`"
        )


def bring_up(folder: StackFolder, servers: Servers, say: Say) -> None:
    """Start what does not run, or runs with another configuration; all of them answer afterwards. For who holds the lock,
    once the services run: what is scraped is written down here."""
    install(say)
    running = [role for role in ROLES if processes.recorded(folder, role)]
    chosen = ports.settle(folder, ROLES, running, say)
    configuration = {
        "prometheus": _configure(folder, chosen, servers.rabbitmq.metrics_url),
        "alertmanager": [_copied(TOLD, folder.room("alertmanager") / TOLD.name)],
    }
    for role, program in _programs(folder, chosen, servers).items():
        fingerprint = program.fingerprint(*configuration.get(role, ()))
        process = processes.recorded(folder, role)
        if process and process.fingerprint == fingerprint and _answers(chosen[role], program.health):
            continue
        say(f"starting {role}")
        processes.stop(folder, [role])
        environment = {**processes.plain_environment(), **program.environment}
        processes.spawn(
            folder, role, program.command, environment=environment, directory=folder.room(role), fingerprint=fingerprint
        )
        _await_answer(folder, role, chosen[role], program.health)
    folder.forget(PAUSED)


def describe(folder: StackFolder) -> dict[str, Any]:
    """What stack.json says of those that have a page; nothing of what does not run."""
    known = folder.read(ports.FILE)
    running = {role: process for role in SHOWN if (process := processes.recorded(folder, role))}
    return {role: {"url": f"http://127.0.0.1:{known[role]}", "pid": process.pid} for role, process in running.items()}


def answers(url: str) -> bool:
    """Prometheus or Alertmanager says that it is ready."""
    return _answers(int(urlsplit(url).port or 0), "/-/ready")


def erase(folder: StackFolder) -> None:
    """Remove what they kept; they must be down."""
    for role in ROLES:
        shutil.rmtree(folder.path / role, ignore_errors=True)


def _program(package: str) -> str | None:
    return shutil.which(package, path=processes.plain_environment()["PATH"])


def _programs(folder: StackFolder, chosen: Mapping[str, int], servers: Servers) -> dict[str, Program]:
    def command(role: str, *arguments: str) -> list[str]:
        return [str(_program(PACKAGES[role])), f"--web.listen-address=127.0.0.1:{chosen[role]}", *arguments]

    prometheus = folder.room("prometheus")
    return {
        "postgres_exporter": Program(
            command("postgres_exporter"), {"DATA_SOURCE_NAME": _without_tls(servers.postgres.superuser_url)}, "/metrics"
        ),
        "redis_exporter": Program(command("redis_exporter"), _redis_environment(servers.redis.url), "/metrics"),
        "audit": Program(
            [sys.executable, "-P", "-m", "deploy.cli", "audit", "--every", "60", "--metrics-port", str(chosen["audit"])],
            {"PYTHONPATH": str(CHECKOUT), "ORDERBUS_POSTGRES_URL": servers.postgres.superuser_url},
            "/metrics",
        ),
        "alertmanager": Program(
            command(
                "alertmanager",
                f"--config.file={folder.room('alertmanager') / TOLD.name}",
                f"--storage.path={folder.room('alertmanager') / 'data'}",
                "--cluster.listen-address=",
            ),
            {},
            "/-/ready",
        ),
        "prometheus": Program(
            command(
                "prometheus",
                f"--config.file={prometheus / 'prometheus.yml'}",
                f"--storage.tsdb.path={prometheus / 'data'}",
                "--enable-feature=exemplar-storage",
            ),
            {},
            "/-/ready",
        ),
    }


def _configure(folder: StackFolder, chosen: Mapping[str, int], rabbitmq: str | None) -> list[Path]:
    """The shipped configuration and rules, word for word, beside what is to be scraped here; gives the files."""
    home = folder.room("prometheus")
    shutil.rmtree(home / "rules", ignore_errors=True)
    shipped = (SHIPPED / "prometheus.yml", *sorted(SHIPPED.glob("rules/*.yml")))
    files = [_copied(path, home / path.relative_to(SHIPPED)) for path in shipped]
    known = folder.read(ports.FILE)

    def here(port: int, **labels: str) -> dict[str, Any]:
        return {"targets": [f"127.0.0.1:{port}"], "labels": labels}

    targets = {
        "orderbus": [here(known[service], service=service) for service in SERVICES],
        "rabbitmq": [{"targets": [urlsplit(rabbitmq).netloc]}] if rabbitmq else [],
        "postgres": [here(chosen["postgres_exporter"])],
        "redis": [here(chosen["redis_exporter"])],
        "audit": [here(chosen["audit"])],
        "alertmanager": [here(chosen["alertmanager"])],
    }
    for job, groups in targets.items():
        write_private(home / "targets" / f"{job}.yml", json.dumps(groups, indent=2) + "\n")  # JSON is YAML
    return files


def _copied(shipped: Path, to: Path) -> Path:
    write_private(to, shipped.read_text())
    return to


def _without_tls(url: str) -> str:
    """The exporter's driver insists on TLS where nothing is said."""
    parts = urlsplit(url)
    return url if "sslmode" in parts.query else parts._replace(query=f"{parts.query}&sslmode=disable".lstrip("&")).geturl()


def _redis_environment(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return {"REDIS_ADDR": place, "REDIS_USER": unquote(parts.username or ""), "REDIS_PASSWORD": unquote(parts.password or "")}


def _await_answer(folder: StackFolder, role: str, port: int, health: str) -> None:
    def is_settled() -> bool:
        return processes.recorded(folder, role) is None or _answers(port, health)

    if not waiting.until(is_settled, PATIENCE) or processes.recorded(folder, role) is None:
        raise StackError(f"{role} does not start; the end of {folder.log(role)}:\n{processes.last_lines(folder, role)}")


def _answers(port: int, health: str) -> bool:
    return ports.status(port, health, timeout=5) == 200
