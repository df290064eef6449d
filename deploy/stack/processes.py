"""Starts processes that outlive us, knows them again, and ends them and nothing else."""

import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.stack import waiting
from deploy.stack.state import StackFolder

MARK = "ORDERBUS_STACK"
"""In the environment of every process of a stack: a process can be known by it even when nobody wrote down its pid."""

POLITE_SIGNALS = {"postgres": signal.SIGINT}
"""Postgres waits for its clients on TERM and closes their connections on INT."""

LONG_LOG = 20_000_000

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process and what sets it apart from a later one with the same number."""

    pid: int
    started: str
    fingerprint: str = ""

    @property
    def is_alive(self) -> bool:
        return _started(self.pid) == self.started


def spawn(
    folder: StackFolder,
    role: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    user: tuple[int, int] | None = None,
    fingerprint: str = "",
) -> Process:
    """Start a process of its own session, its output in the role's log, and write down which one it is."""
    mark = {MARK: f"{folder.id}:{role}"}
    _turn_over(folder.log(role))
    with open(os.open(folder.log(role), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
        child = subprocess.Popen(
            command,
            env={**environment, **mark},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=0o077,
            user=user[0] if user else None,
            group=user[1] if user else None,
            extra_groups=[] if user else None,
        )
    process = Process(child.pid, _started(child.pid) or "", fingerprint)
    child.returncode = 0  # it is meant to outlive us: keeps subprocess from warning of a child left running
    folder.write(
        f"processes/{role}.json",
        {"pid": process.pid, "started": process.started, "fingerprint": fingerprint},
    )
    return process


def recorded(folder: StackFolder, role: str) -> Process | None:
    """The role's process that was written down, if it is still that process and alive."""
    record = folder.read(f"processes/{role}.json")
    try:
        process = Process(int(record["pid"]), str(record["started"]), str(record["fingerprint"]))
    except (KeyError, ValueError):
        return None
    return process if process.is_alive else None


def roles(folder: StackFolder) -> set[str]:
    """Every role of which a process is alive, written down or not."""
    noted = {path.stem for path in folder.room("processes").glob("*.json")}
    alive = {role for role in noted if recorded(folder, role)}
    return alive | {role for role, pids in marked(folder).items() if pids}


def marked(folder: StackFolder) -> dict[str, list[int]]:
    """The living processes that carry this stack's mark, by role; empty where the system has no /proc."""
    found: dict[str, list[int]] = {}
    mark = f"{MARK}={folder.id}:".encode()
    for path in _PROC.glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes()
        except OSError:  # gone meanwhile, or another user's
            continue
        if mark not in environment:
            continue
        pid = int(path.parent.name)
        for entry in environment.split(b"\0"):
            if entry.startswith(mark) and pid != os.getpid() and _started(pid):
                found.setdefault(entry.removeprefix(mark).decode(errors="replace"), []).append(pid)
    return found


def stop(folder: StackFolder, wanted: Iterable[str], patience: float = 20) -> None:
    """End the roles' processes, all at once and politely first; when this returns none is alive."""
    ending = list(wanted)
    if not ending:
        return
    leaders = {role: process for role in ending if (process := recorded(folder, role))}
    for role, process in leaders.items():
        _signal(process.pid, POLITE_SIGNALS.get(role, signal.SIGTERM))
    waiting.until(lambda: not any(process.is_alive for process in leaders.values()), patience, pause=0.02)
    for process in leaders.values():
        _kill_group(process)
    _end_strays(folder, ending)
    for role in ending:
        folder.forget(f"processes/{role}.json")


def is_listed(pid: int) -> bool:
    """Some process has this number: alive, or dead and not yet taken note of."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def last_lines(folder: StackFolder, role: str, count: int = 20) -> str:
    """The end of the role's log, for a person to read."""
    try:
        lines = folder.log(role).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-count:])


def plain_environment() -> dict[str, str]:
    """What any program needs of the caller's environment, and nothing else of it."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    standard = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment["PATH"] = f"{environment['PATH']}:{standard}" if environment.get("PATH") else standard
    return environment


def _turn_over(log: Path) -> None:
    """A log that has grown long makes room for a new one; the one before it is kept."""
    if log.exists() and log.stat().st_size > LONG_LOG:
        log.replace(log.with_suffix(".log.1"))


def _end_strays(folder: StackFolder, ending: Sequence[str]) -> None:
    """End what carries the mark of these roles: children left by a killed leader, or one never written down."""

    def strays() -> list[int]:
        return [pid for role, pids in marked(folder).items() if role in ending for pid in pids]

    # A killed leader's children end by themselves in a moment; one that was never written down does not.
    if not (left := strays()):
        return
    for pid in left:
        _signal(pid, signal.SIGTERM)
    if not waiting.until(lambda: not strays(), 5):
        for pid in strays():
            _signal(pid, signal.SIGKILL)
        waiting.until(lambda: not strays(), 5)


def _kill_group(process: Process) -> None:
    """End whatever is left of a process and of those it started. The group bears its leader's number while any lives."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
    waiting.until(lambda: not process.is_alive, 5, pause=0.02)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _started(pid: int) -> str | None:
    """When this process began, in words that only this boot of the machine repeats; None once it has ended."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # our own child stays a zombie until it is asked for
    if not _PROC.joinpath("stat").exists():
        return _started_by_ps(pid)
    try:
        # The name in brackets may hold spaces; what follows it does not.
        fields = _PROC.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    boot = _PROC.joinpath("sys/kernel/random/boot_id").read_text().strip()
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def _started_by_ps(pid: int) -> str | None:
    answer = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()
