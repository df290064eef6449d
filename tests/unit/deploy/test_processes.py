"""A process is known again, and ended with all that it started; no other ever is."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.stack import processes, waiting
from deploy.stack.processes import Process
from deploy.stack.state import StackFolder, open_folder

STAYS = "import signal; print('started', flush=True); signal.pause()"
IGNORES_A_POLITE_END = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STAYS}"
HAS_A_CHILD_OF_ITS_OWN_SESSION = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STAYS!r}], start_new_session=True); {STAYS}"
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[StackFolder]:
    folder = open_folder(tmp_path)
    yield folder
    processes.stop(folder, processes.roles(folder), patience=0)


def spawn(folder: StackFolder, program: str, role: str = "orders", lines: int = 1) -> Process:
    process = processes.spawn(
        folder,
        role,
        [sys.executable, "-c", program],
        environment=processes.plain_environment(),
        directory=folder.path,
    )
    assert waiting.until(lambda: processes.last_lines(folder, role).count("started") >= lines, 20)
    return process


def test_a_process_is_known_again_by_who_did_not_start_it(folder: StackFolder) -> None:
    process = spawn(folder, STAYS)

    assert processes.recorded(open_folder(folder.path), "orders") == process
    assert processes.roles(folder) == {"orders"}


def test_a_later_process_with_the_same_number_is_not_taken_for_ours(folder: StackFolder) -> None:
    process = spawn(folder, STAYS)

    assert not replace(process, started="another boot:1").is_alive


def test_a_killed_process_counts_as_gone_at_once(folder: StackFolder) -> None:
    process = spawn(folder, STAYS)

    os.kill(process.pid, signal.SIGKILL)

    assert waiting.until(lambda: not process.is_alive, 10)
    assert processes.recorded(folder, "orders") is None


def test_stopping_ends_one_that_ignores_a_polite_end(folder: StackFolder) -> None:
    process = spawn(folder, IGNORES_A_POLITE_END)

    processes.stop(folder, ["orders"], patience=0.1)

    assert not process.is_alive


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="this system does not show whose a process is")
def test_stopping_ends_children_that_have_left_the_group(folder: StackFolder) -> None:
    spawn(folder, HAS_A_CHILD_OF_ITS_OWN_SESSION, lines=2)
    assert len(processes.marked(folder)["orders"]) == 2

    processes.stop(folder, ["orders"])

    assert processes.marked(folder) == {}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="this system does not show whose a process is")
def test_a_process_that_nobody_wrote_down_is_found_and_ended(folder: StackFolder) -> None:
    process = spawn(folder, STAYS)
    folder.forget("processes/orders.json")

    assert processes.roles(folder) == {"orders"}
    processes.stop(folder, ["orders"])

    assert not process.is_alive


def test_stopping_one_stack_leaves_another_alone(folder: StackFolder, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = open_folder(tmp_path_factory.mktemp("other"))
    ours, theirs = spawn(folder, STAYS), spawn(other, STAYS)

    processes.stop(folder, processes.roles(folder))

    assert not ours.is_alive
    assert theirs.is_alive
    processes.stop(other, ["orders"])


def test_a_stale_record_of_a_stranger_ends_nobody(folder: StackFolder) -> None:
    with subprocess.Popen([sys.executable, "-c", STAYS], stdout=subprocess.PIPE) as stranger:
        folder.write("processes/orders.json", {"pid": stranger.pid, "started": "long ago", "fingerprint": ""})

        processes.stop(folder, ["orders"])

        assert stranger.poll() is None
        stranger.kill()


def test_secrets_in_the_environment_of_the_caller_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody's business")

    assert "AWS_SECRET_ACCESS_KEY" not in processes.plain_environment()
