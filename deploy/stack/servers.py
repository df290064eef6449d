"""Postgres, RabbitMQ and Redis: found by URL, in Docker, or run privately from the machine's own programs."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Protocol

from deploy.stack import credentials, docker, packages, ports, postgres, processes, rabbitmq, redis, urls, waiting
from deploy.stack.credentials import Credentials
from deploy.stack.state import CHECKOUT, Say, StackError, StackFolder, locked, open_folder, silent
from deploy.stack.undoing import all_or_nothing

FILE = "sources.json"
"""Where each server's data lies, of those that are ours."""

NAMED = "named.json"
"""Which servers are another's, named by URL, and by which variable; until `down`."""


class Source(StrEnum):
    """Where a server of ours runs."""

    DOCKER = "docker"
    PROGRAMS = "programs"


@dataclass(frozen=True, slots=True)
class Postgres:
    """`url` and `superuser_url` both log in as who may do everything in the database; `pid` is None elsewhere's."""

    url: str
    superuser_url: str
    pid: int | None


@dataclass(frozen=True, slots=True)
class RabbitMQ:
    """`url` is an administrator's; the management URL carries the same name and password. `metrics_url`: its plugin's."""

    url: str
    management_url: str | None
    pid: int | None
    metrics_url: str | None = None


@dataclass(frozen=True, slots=True)
class Redis:
    url: str
    pid: int | None


@dataclass(frozen=True, slots=True)
class Servers:
    """The three servers, all answering."""

    postgres: Postgres
    rabbitmq: RabbitMQ
    redis: Redis


class Server(Protocol):
    """What the module of each server offers."""

    PORTS: tuple[str, ...]

    def is_installed(self) -> bool: ...
    def url(self, ports: Mapping[str, int], password: str) -> str: ...
    def begin(self, folder: StackFolder, ports: Mapping[str, int], password: str, say: Say = ...) -> None: ...
    def answers(self, url: str) -> bool: ...
    def erase(self, folder: StackFolder) -> None: ...


SERVERS: Mapping[str, Server] = {"rabbitmq": rabbitmq, "redis": redis, "postgres": postgres}
"""RabbitMQ takes longest to start and Postgres' first start keeps us busy, hence this sequence."""

UNDOING_PATIENCE = 8.0
"""RabbitMQ does not hear a polite end while it starts, and a server that never answered has nothing to put in order."""

ROLES = ("rabbitmq", "redis", "postgres", rabbitmq.NAME_SERVER)
"""What runs, in the sequence in which it is stopped."""


def start_servers(path: Path, say: Say = silent) -> Servers:
    """Start what is not running of the servers whose state is kept in this folder; all of them answer afterwards.

    Not to be called from within an event loop.
    """
    folder = open_folder(path)
    with locked(folder, say), all_or_nothing(folder, partial(stop_roles, patience=UNDOING_PATIENCE)):
        return bring_up(folder, say)


def stop_servers(path: Path, *, erase: bool = False) -> None:
    """Stop what `start_servers` started for this folder, and nothing else; the data stays unless it is to be erased."""
    folder = open_folder(path)
    with locked(folder):
        take_down(folder, erase=erase)


def bring_up(folder: StackFolder, say: Say) -> Servers:
    """`start_servers` for who holds the folder's lock."""
    secrets = credentials.keep(folder)
    given = named_by_url(SERVERS)
    _remember(folder, given)
    sources = _sources(folder, [name for name in SERVERS if name not in given], say)
    if Source.PROGRAMS in sources.values():
        _must_be_plain(folder.path)
    folder.write(FILE, {**folder.read(FILE), **sources})
    chosen = _start(folder, sources, secrets, say)

    def url_of(name: str) -> str:
        return given.get(name) or SERVERS[name].url(chosen, secrets[name])

    def pid_of(name: str) -> int | None:
        return None if name in given else pid(folder, name, sources[name])

    is_ours = "rabbitmq" not in given
    management = rabbitmq.management_url(chosen, secrets["rabbitmq"]) if is_ours else None
    metrics = f"http://127.0.0.1:{chosen['rabbitmq_prometheus']}" if is_ours else None
    return Servers(
        Postgres(url_of("postgres"), url_of("postgres"), pid_of("postgres")),
        RabbitMQ(
            url_of("rabbitmq"),
            management or os.environ.get("ORDERBUS_RABBITMQ_MANAGEMENT_URL"),
            pid_of("rabbitmq"),
            metrics or os.environ.get("ORDERBUS_RABBITMQ_METRICS_URL"),
        ),
        Redis(url_of("redis"), pid_of("redis")),
    )


def named_by_url(wanted: Iterable[str]) -> dict[str, str]:
    """The addresses of those that are not ours to start. Raises StackError when one of them does not answer."""
    given = {name: url for name in wanted if (url := os.environ.get(urls.variable(name)))}
    for name, url in given.items():
        _expect(name, url)
    return given


def take_down(folder: StackFolder, *, erase: bool = False, say: Say = silent) -> None:
    """`stop_servers` for who holds the folder's lock."""
    stop_roles(folder, ROLES, patience=1 if erase else 20)  # RabbitMQ takes 6 s to put its data in order
    if named := folder.read(NAMED):
        say(f"named by URL, and left as they are: {', '.join(named)}; where none is named, the next `up` takes one of its own")
    folder.forget(NAMED)
    contained = [name for name, source in folder.read(FILE).items() if source == Source.DOCKER]
    if contained and not docker.answers():
        say(f"Docker does not answer, so what it holds of {', '.join(contained)} is as it was: {docker.how_to_end(folder)}")
    if erase:
        docker.erase(folder, contained)
        for server in SERVERS.values():
            server.erase(folder)
        folder.forget(FILE)


def stop_roles(folder: StackFolder, roles: Iterable[str], patience: float = 20) -> None:
    """End these roles, wherever they run. Erlang's name server goes last: RabbitMQ signs off there."""
    wanted = list(roles)
    processes.stop(folder, [role for role in wanted if role != rabbitmq.NAME_SERVER], patience)
    if rabbitmq.NAME_SERVER in wanted or "rabbitmq" in wanted:
        processes.stop(folder, [rabbitmq.NAME_SERVER])
    sources = folder.read(FILE)
    docker.remove(folder, [role for role in wanted if sources.get(role) == Source.DOCKER])


def choose_source(before: str | None, *, has_docker: bool, is_installed: bool) -> Source | None:
    """Where a server is to come from: where its data lies already and nowhere else, or else Docker, or else the machine's
    programs; None where that is not to be had."""
    if before != Source.PROGRAMS and has_docker:
        return Source.DOCKER
    return Source.PROGRAMS if before != Source.DOCKER and is_installed else None


def pid(folder: StackFolder, name: str, source: Source) -> int | None:
    """The server's process, if it runs."""
    if source is Source.DOCKER:
        return docker.pid(folder, name)
    process = processes.recorded(folder, name)
    return process.pid if process else None


def _remember(folder: StackFolder, given: Mapping[str, str]) -> None:
    """A server that was named by URL is not replaced by an empty one of our own because nobody names it today."""
    if forgotten := [variable for name, variable in folder.read(NAMED).items() if name not in given]:
        raise StackError(
            f"this stack works on servers that {' and '.join(forgotten)} named, which nothing names now: set it as before, or "
            "give that up with ./orderbus down (it touches no data), after which `up` starts empty servers of its own"
        )
    if given:
        folder.write(NAMED, {name: urls.variable(name) for name in given})


def _must_be_plain(path: Path) -> None:
    """A path that the programs' own files of settings would end early, or take for a pattern, or that Erlang cannot spell."""
    if odd := sorted({sign for sign in str(path) if sign in "\"'\\[" or ord(sign) > 255}):
        raise StackError(
            f"RabbitMQ and Redis do not start in a folder with {' '.join(odd)} in its path: move the checkout from {CHECKOUT}, "
            "or name servers by URL, or start Docker"
        )


def _sources(folder: StackFolder, wanted: Sequence[str], say: Say) -> dict[str, Source]:
    """A source for each of these servers, installed first where that is ours to do."""
    has_docker = bool(wanted) and docker.answers()
    remembered = folder.read(FILE)
    if not has_docker and (contained := [name for name in wanted if remembered.get(name) == Source.DOCKER]):
        raise StackError(
            f"the data of {', '.join(contained)} lies in Docker, which does not answer: start its daemon so that "
            "`docker version` answers, or give the data up with ./orderbus down --erase"
        )

    def source(name: str) -> Source | None:
        installed = SERVERS[name].is_installed()
        return choose_source(remembered.get(name), has_docker=has_docker, is_installed=installed)

    if (missing := [name for name in wanted if source(name) is None]) and packages.can_install():
        packages.install(missing, say)
    if missing := [name for name in wanted if source(name) is None]:
        raise StackError(packages.how_to_install(missing))
    return {name: found for name in wanted if (found := source(name))}


def _start(
    folder: StackFolder, sources: Mapping[str, Source], secrets: Credentials, say: Say, attempts: int = 3
) -> dict[str, int]:
    """Start what does not run and wait until all answer: together, since each takes seconds."""
    chosen: dict[str, int] = {}
    for attempt in range(1, attempts + 1):
        running = {name for name, source in sources.items() if pid(folder, name, source)}
        wanted = [port for name, source in sources.items() for port in _ports(name, source)]
        ours = {port for name in running for port in _ports(name, sources[name])}
        if processes.recorded(folder, rabbitmq.NAME_SERVER):
            ours.add("epmd")
        chosen = ports.settle(folder, wanted, ours, say)
        for name, source in sources.items():
            if name not in running:
                say(f"starting {name} ({'container' if source is Source.DOCKER else 'private, own programs'})")
                _begin(folder, name, source, chosen, secrets[name], say)
        failed = [
            name
            for name, source in sources.items()
            if not _comes_up(folder, name, source, chosen, secrets[name], patience=20 if name in running else 90)
        ]
        if not failed:
            break
        if attempt == attempts:
            raise StackError("\n".join(f"{name} does not start:\n{_log(folder, name, sources)}" for name in failed))
        # It died or hangs: an earlier one may have been ending, or its port was taken in the same moment.
        stop_roles(folder, failed)
    return chosen


def _begin(folder: StackFolder, name: str, source: Source, chosen: Mapping[str, int], password: str, say: Say) -> None:
    processes.stop(folder, [name])  # one that nobody wrote down, of a start that was cut short
    if source is Source.DOCKER:
        docker.begin(folder, name, chosen, password)
    else:
        SERVERS[name].begin(folder, chosen, password, say)


def _comes_up(folder: StackFolder, name: str, source: Source, chosen: Mapping[str, int], password: str, patience: float) -> bool:
    """The server answers on all of its ports; False when it dies before that, or does not in time."""
    server = SERVERS[name]
    url = server.url(chosen, password)

    def answers() -> bool:
        return all(ports.listens(chosen[port]) for port in _ports(name, source)) and server.answers(url)

    def is_settled() -> bool:
        return pid(folder, name, source) is None or answers()

    try:
        return waiting.until(is_settled, patience) and pid(folder, name, source) is not None
    except StackError as refused:
        raise StackError(f"{refused}; if the stack's secrets were lost: ./orderbus down --erase") from refused


def _ports(name: str, source: Source) -> Iterable[str]:
    return docker.CONTAINERS[name].ports if source is Source.DOCKER else SERVERS[name].PORTS


def _expect(name: str, url: str) -> None:
    """A server named by URL is not ours to start: it answers, or we say so."""
    variable = urls.variable(name)
    if not urls.is_of_form(name, url):
        raise StackError(f"{variable} {urls.wanted(name)}")
    try:
        answers = waiting.until(lambda: SERVERS[name].answers(url), 10, pause=0.5)
    except StackError as refused:
        raise StackError(f"{variable}: {refused}") from refused
    except (ValueError, OverflowError):  # a port that is none, an option that is unknown
        raise StackError(f"{variable} {urls.wanted(name)}") from None
    if not answers:
        raise StackError(f"{variable}: nothing answers at {urls.place(url)}")


def _log(folder: StackFolder, name: str, sources: Mapping[str, Source]) -> str:
    if sources[name] is Source.DOCKER:
        return docker.last_lines(folder, name)
    return processes.last_lines(folder, name)
