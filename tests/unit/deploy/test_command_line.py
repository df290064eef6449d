"""The command line is quick to say what it can do, and keeps secrets off the screen."""

import subprocess
import sys
from pathlib import Path

from deploy.cli.stack import without_password

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


def _run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False)
