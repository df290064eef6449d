"""Installs the servers' programs where that is ours to do, and says how to where it is not."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.stack import urls
from deploy.stack.state import Say, StackError

DEBIAN: Mapping[str, str] = {"postgres": "postgresql", "rabbitmq": "rabbitmq-server", "redis": "redis-server"}
FEDORA: Mapping[str, str] = {"postgres": "postgresql-server", "rabbitmq": "rabbitmq-server", "redis": "valkey"}
MACOS: Mapping[str, str] = {"postgres": "postgresql@17", "rabbitmq": "rabbitmq", "redis": "redis"}

POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian asks this program before it starts a server that it has just installed."""


def can_install() -> bool:
    """This is root's session on Debian, Ubuntu or a relative of theirs."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None and Path("/etc/debian_version").exists()


def install(missing: Sequence[str], say: Say) -> None:
    """Install the servers from the distribution's packages."""
    install_packages([DEBIAN[server] for server in missing], say)


def install_packages(names: Sequence[str], say: Say) -> None:
    """Install the distribution's packages, without the standing servers that they would start."""
    say(f"installing with apt-get: {', '.join(names)} (their standing servers are not started)")
    with _nothing_starts():
        _apt("update", "-qq")
        _apt("install", "-y", "-qq", "--no-install-recommends", *names)


def how_to_install(missing: Sequence[str]) -> str:
    """Exactly what a person has to do so that the stack can start."""
    variables = " ".join(urls.variable(server) for server in missing)
    return "\n".join(
        [
            f"Missing: {', '.join(missing)}. Any one of these helps:",
            f"  Debian, Ubuntu:  sudo apt-get install {' '.join(DEBIAN[server] for server in missing)}",
            f"  Fedora:          sudo dnf install {' '.join(FEDORA[server] for server in missing)}",
            f"  macOS:           brew install {' '.join(MACOS[server] for server in missing)}",
            "  Docker:          start its daemon, so that `docker version` answers",
            f"  elsewhere:       name a server of your own by URL in {variables}",
        ]
    )


@contextmanager
def _nothing_starts() -> Iterator[None]:
    """While packages are installed, forbid them to start servers on the standard ports."""
    if POLICY.exists():  # as in most containers; it is not ours to judge
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def _apt(*arguments: str) -> None:
    answer = subprocess.run(
        ["apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments],  # somebody else may be installing
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise StackError(f"apt-get {' '.join(arguments)} failed:\n{answer.stdout[-2000:]}{answer.stderr[-2000:]}")
