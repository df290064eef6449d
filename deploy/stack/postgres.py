"""A private Postgres from the machine's own programs."""

import asyncio
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deploy.stack import processes, urls, waiting
from deploy.stack.state import Say, StackError, StackFolder, silent, write_private

ROLE = "postgres"
PORTS: tuple[str, ...] = ("postgres",)
SUPERUSER = "orderbus"
DATABASE = "orderbus"

FILE = "postgres.json"
"""Where the data of a stack lies is written down here: data that no stack remembers is nobody's."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "log_line_prefix": "%m [%p] %u@%d ",
}

ELSEWHERE = Path("/var/tmp")  # noqa: S108 what is found there under our name is taken for ours only by its owner
"""Where another user than root can work, and where a restart of the machine removes nothing."""


def programs(major: str | None = None) -> Path | None:
    """The folder of the newest server programs, or of those of one major version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major_of, reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    for folder in folders:
        complete = all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb"))
        if complete and (major is None or _version(folder) == major):
            return folder
    return None


def is_installed() -> bool:
    return programs() is not None


def url(ports: Mapping[str, int], password: str) -> str:
    return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{ports['postgres']}/{DATABASE}"


def begin(folder: StackFolder, ports: Mapping[str, int], password: str, say: Say = silent) -> None:
    """Start the server on its data, which is made first when there is none; returns before it answers."""
    owner = _owner()
    home = _home(folder, owner, say)
    data = home / "data"
    if not data.exists():
        _make_data(home, data, password, owner)
    major = (data / "PG_VERSION").read_text().strip()
    binaries = programs(major)
    if binaries is None:
        raise StackError(
            f"the stack's data was made by PostgreSQL {major}, whose programs are gone: install postgresql-{major}, "
            "or give the data up with ./orderbus down --erase"
        )
    _drop_stale_lock(data)
    settings = {**SETTINGS, "port": str(ports["postgres"])}
    processes.spawn(
        folder,
        ROLE,
        [str(binaries / "postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())],
        environment=processes.plain_environment(),
        directory=home,
        user=owner,
    )


def answers(url: str) -> bool:
    """The server takes connections, and the database is there."""
    return asyncio.run(_answers(url))


def erase(folder: StackFolder) -> None:
    """Remove the data for good; the server must be down."""
    recorded = folder.read(FILE).get("home")
    if recorded and _is_ours(Path(recorded), folder):
        shutil.rmtree(recorded, ignore_errors=True)
    folder.forget(FILE)


async def _answers(url: str) -> bool:
    import asyncpg

    try:
        connection = await asyncpg.connect(url, timeout=5)
    except asyncpg.InvalidCatalogNameError:
        return await _make_database(url)
    except asyncpg.TooManyConnectionsError:
        return False
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise StackError("Postgres refuses the user or password it was asked with") from error
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
        return False
    await connection.close()
    return True


async def _make_database(url: str) -> bool:
    import asyncpg

    name = urls.database(url).replace('"', '""')
    connection = await asyncpg.connect(urls.administration(url), timeout=5)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    except asyncpg.InsufficientPrivilegeError as error:
        raise StackError(f"Postgres has no database {name}, and its user may not make one") from error
    finally:
        await connection.close()
    return True


def _owner() -> tuple[int, int] | None:
    """Whom the server runs as: Postgres refuses to be root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return user.pw_uid, user.pw_gid
    raise StackError("Postgres refuses to run as root, and this machine has neither a user postgres nor nobody")


def _home(folder: StackFolder, owner: tuple[int, int] | None, say: Say) -> Path:
    """The folder that holds the data: another user may not be able to enter the stack's own."""
    if owner is None:
        home = folder.room("postgres")
    else:
        home = ELSEWHERE / f"orderbus-{folder.id}"
        if home.exists() and not folder.read(FILE):
            if not _is_ours(home, folder):
                raise StackError(f"{home} belongs to somebody else: remove it, then start again")
            say(f"removing {home}: what is left of an earlier stack that was deleted from here")
            shutil.rmtree(home)
        home.mkdir(mode=0o700, exist_ok=True)
        if not _is_ours(home, folder):
            raise StackError(f"{home} belongs to somebody else: remove it, then start again")
        os.chown(home, *owner)
    folder.write(FILE, {"home": str(home)})
    return home


def _is_ours(home: Path, folder: StackFolder) -> bool:
    """A folder anybody could have made under a name that anybody can guess is not taken for ours."""
    owners = {os.geteuid(), *(owner[:1] if (owner := _owner()) else ())}
    expected = home == folder.path / "postgres" or home == ELSEWHERE / f"orderbus-{folder.id}"
    return expected and home.is_dir() and not home.is_symlink() and home.lstat().st_uid in owners


def _make_data(home: Path, data: Path, password: str, owner: tuple[int, int] | None) -> None:
    """Make the data beside its place and move it there whole, so that an interruption leaves none."""
    binaries = programs()
    if binaries is None:
        raise StackError("the PostgreSQL server programs are not installed")
    draft, password_file = home / "data.unfinished", home / "password"
    shutil.rmtree(draft, ignore_errors=True)
    write_private(password_file, password)
    if owner:
        os.chown(password_file, *owner)
    try:
        answer = subprocess.run(
            [
                str(binaries / "initdb"),
                *(f"--pgdata={draft}", f"--username={SUPERUSER}", f"--pwfile={password_file}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
            ],
            env=processes.plain_environment(),
            cwd=home,
            user=owner[0] if owner else None,
            group=owner[1] if owner else None,
            extra_groups=[] if owner else None,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        password_file.unlink(missing_ok=True)
    if answer.returncode != 0:
        raise StackError(f"initdb failed:\n{answer.stdout}{answer.stderr}")
    draft.rename(data)


def _drop_stale_lock(data: Path) -> None:
    """After a crash the lock file may name a number that a stranger has now, and Postgres would not start.

    A server killed outright leaves children for a moment, which hold the data: they are waited for. Only where
    the system shows which process works in the data is the lock file ever touched.
    """
    if not Path("/proc/self/cwd").exists():
        return
    if waiting.until(lambda: not _is_in_use(data), 20):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _is_in_use(data: Path) -> bool:
    """Some process works in the data: a server and all of its children have it as their current directory."""
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink() == data:
                return True
        except OSError:  # gone meanwhile, or another user's
            continue
    return False


def _major_of(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


def _version(folder: Path) -> str | None:
    answer = subprocess.run([str(folder / "postgres"), "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\s(\d+)", answer.stdout)
    return found[1] if found else None
