"""Chooses free ports and remembers them, so that a restarted server is found where it was."""

import http.client
import secrets
import socket
from collections.abc import Collection, Mapping, Sequence

from deploy.stack import waiting
from deploy.stack.state import Say, StackFolder, silent

FILE = "ports.json"

RANGE = range(20_000, 25_000)
"""Below the range from which the kernel takes ports for outgoing connections, and free of well-known servers."""

PATIENCE = 3.0
"""A killed server holds its port for a moment longer."""


def is_free(port: int) -> bool:
    """Nobody listens there, on this machine's loopback or on all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def status(port: int, path: str, timeout: float) -> int | None:
    """What is answered to a GET there; None when nothing is."""
    found = answer(port, path, timeout)
    return found[0] if found else None


def answer(port: int, path: str, timeout: float) -> tuple[int, bytes] | None:
    """The same with the body. A client for the whole web would read its certificates first, each time for longer than all the
    rest takes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def choose(
    wanted: Sequence[str],
    remembered: Mapping[str, int],
    in_use_by_us: Collection[str],
    say: Say = silent,
    patience: float = PATIENCE,
) -> dict[str, int]:
    """A port for every name: the remembered one unless a stranger has taken it meanwhile, all different."""
    chosen = dict(remembered)
    for name in wanted:
        port = remembered.get(name)
        if port is not None and (name in in_use_by_us or _gets_free(port, patience)):
            continue
        chosen[name] = _another(set(chosen.values()))
        if port is not None:
            say(f"port {port} of {name} has been taken by another program: {name} moves to {chosen[name]}")
    return chosen


def settle(folder: StackFolder, wanted: Sequence[str], in_use_by_us: Collection[str], say: Say = silent) -> dict[str, int]:
    """Choose a port for every name and write the choice down."""
    ports = choose(wanted, folder.read(FILE), in_use_by_us, say)
    folder.write(FILE, ports)
    return ports


def _gets_free(port: int, patience: float) -> bool:
    return waiting.until(lambda: is_free(port), patience)


def _another(taken: Collection[int]) -> int:
    """A random start keeps two checkouts that choose at the same moment apart: not by a seed, which both may have been given."""
    start = secrets.randbelow(len(RANGE))
    for offset in range(len(RANGE)):
        port = RANGE[(start + offset) % len(RANGE)]
        if port not in taken and is_free(port):
            return port
    raise OSError(f"no free port between {RANGE.start} and {RANGE.stop}")
