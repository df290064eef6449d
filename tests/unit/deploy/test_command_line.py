"""The command line is quick to say what it can do, and keeps secrets off the screen."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from deploy.cli import doctor
from deploy.cli.stack import as_shown, without_password
from deploy.cli.telling import explaining_trouble
from deploy.cli.test import missing_path
from deploy.cli.watch import _told
from deploy.stack import state
from deploy.stack.stack import Line
from deploy.stack.state import open_folder
from deploy.stack.vitals import Look

CHECKOUT = Path(__file__).resolve().parents[3]


def test_help_names_the_commands() -> None:
    answer = _run_python("-m", "deploy.cli", "--help")

    assert answer.returncode == 0
    assert {"up", "down", "status", "test", "check"} <= set(answer.stdout.split())


def test_help_loads_none_of_the_heavy_libraries() -> None:
    answer = _run_python("-X", "importtime", "-m", "deploy.cli", "--help")

    loaded = {line.rpartition("|")[2].strip() for line in answer.stderr.splitlines()}
    assert not loaded & {"asyncpg", "aio_pika", "fastapi", "faststream", "httpx", "pydantic", "redis"}


def test_a_password_is_not_shown() -> None:
    assert without_password("amqp://boss:secret@127.0.0.1:20002/") == "amqp://127.0.0.1:20002/"
    assert without_password("http://127.0.0.1:8000") == "http://127.0.0.1:8000"
    assert without_password(None) == "-"


def test_a_program_that_reads_the_status_is_given_no_password() -> None:
    line = Line("rabbitmq", "running", "amqp://boss:secret@127.0.0.1:20002/", 7)

    assert as_shown(line)["url"] == "amqp://127.0.0.1:20002/"
    assert _told(Look(1, [line], {}, []), {})["parts"] == [as_shown(line)]
    assert as_shown(Line("redis", "stopped", None, None))["url"] is None


@pytest.mark.parametrize(
    "words",
    [
        "audit --settle nan",
        "audit --settle inf",
        "audit --settle -1",
        "audit --every nan",
        "audit --every 60 --metrics-port 99999",
        "doctor --days 99999999999",
    ],
)
def test_a_number_that_cannot_be_meant_is_refused(words: str) -> None:
    answer = _run_python("-m", "deploy.cli", *words.split())

    assert answer.returncode == 2
    assert "Invalid value" in answer.stderr


@pytest.mark.parametrize("words", ["dead-letters show TB-1", "dead-letters replay TB-1 --why mended", "restore /there/is/none"])
def test_what_cannot_be_there_is_refused_before_anything_is_asked(words: str) -> None:
    answer = _run_python("-m", "deploy.cli", *words.split())

    assert answer.returncode == 2
    assert "Invalid value" in answer.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("audit --every 60 --json", 2, "--json is for one audit"),
        ("audit --metrics-port 9111", 2, "--metrics-port and --metrics-host are for --every"),
        ("audit --metrics-host ::1", 2, "--metrics-port and --metrics-host are for --every"),
        ("events tail --type nosuch.event", 1, "no event is called 'nosuch.event'; there are "),
        ("events tail --type order.*.paid", 1, "no event is called 'order.*.paid'; there are "),
        ("dead-letters list --state nope", 2, "'nope' is not one of 'retrying', 'dead', 'handled', 'discarded'"),
        ("test -x tests/unit tests/no/such.py::test_it", 1, "there is no tests/no/such.py::test_it in "),
        ("test NOSUCHPATH", 1, "there is no NOSUCHPATH in "),
    ],
)
def test_what_would_be_passed_over_or_waited_for_in_vain_is_refused(words: str, code: int, said: str) -> None:
    answer = _run_python("-m", "deploy.cli", *words.split(), ORDERBUS_POSTGRES_URL="postgresql://boss:pw@127.0.0.1:1/orderbus")

    assert answer.returncode == code
    assert said in " ".join(answer.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    "arguments", [["-n", "0", "tests/unit"], ["-k", "a or b", "-p", "no:randomly"], ["tests/unit/test_safeguards.py::x[a::b]"]]
)
def test_what_pytest_is_told_beside_paths_is_left_to_it(arguments: list[str]) -> None:
    assert missing_path(arguments) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://boss:pw@127.0.0.1:1/orderbus", "Connect call failed ('127.0.0.1', 1); "),
        ("postgresql://boss:sesame/2@127.0.0.1:1/orderbus", "ORDERBUS_POSTGRES_URL is not a URL of the form "),
    ],
)
def test_an_audit_that_cannot_look_is_told_from_one_that_finds_something(url: str, said: str) -> None:
    answer = _run_python("-m", "deploy.cli", "audit", ORDERBUS_POSTGRES_URL=url)

    assert answer.returncode == 2
    assert said in answer.stderr
    assert "sesame" not in answer.stderr
    assert "Traceback" not in answer.stderr


def test_an_answer_that_cannot_be_written_is_told_in_a_line() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "deploy.cli", "--help"]
        answer = subprocess.run(command, cwd=CHECKOUT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)

    assert answer.returncode == 2
    assert answer.stderr == "orderbus: the standard output cannot be written: [Errno 28] No space left on device\n"


def test_who_has_read_enough_is_told_nothing() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "deploy.cli", "--help"]
    answer = subprocess.run(command, cwd=CHECKOUT, stdout=writes, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writes)

    assert (answer.returncode, answer.stderr) == (2, "")


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({}, "the stack does not run here"),
        ({"postgres": {"superuser_url": "postgresql://boss:sesame@127.0.0.1:1/orderbus"}}, "Connect call failed"),
    ],
)
def test_a_doctor_who_cannot_look_is_told_from_one_who_finds_something(
    known: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "CHECKOUT", tmp_path)
    if known:
        open_folder(tmp_path / ".orderbus").write("stack.json", known)

    answer = CliRunner().invoke(doctor.app)

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert "sesame" not in answer.stderr


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (OSError(28, "No space left on device", "/a/b"), "orderbus: /a/b: No space left on device\n"),
        (PermissionError(13, "Permission denied", ".orderbus"), "orderbus: .orderbus: Permission denied\n"),
        (TimeoutError(), "orderbus: TimeoutError(); if that is this checkout's, ./orderbus up starts it\n"),
        (KeyboardInterrupt(), "orderbus: interrupted: the rest runs\n"),
    ],
)
def test_ordinary_trouble_is_told_in_words(trouble: BaseException, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), explaining_trouble("the rest runs"):
        raise trouble

    assert capsys.readouterr().err == said


def _run_python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
