"""./orderbus on machines that lack something: it says exactly what."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]

TOOLS = ("sh", "cmp", "cp", "dirname", "env", "id", "mkdir", "mv", "readlink", "rm")
"""What the script itself needs; without apt-get, so that nothing is ever installed by a test."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A bare checkout with a space in its name, on a machine without Python."""
    checkout = tmp_path / "a checkout"
    programs = tmp_path / "bin"
    checkout.mkdir()
    programs.mkdir()
    shutil.copy(CHECKOUT / "orderbus", checkout)
    (checkout / "uv.lock").write_text("version = 1\n")
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (programs / tool).symlink_to(found)
    return checkout


def test_without_python_it_says_which_to_install(checkout: Path) -> None:
    answer = _start(checkout)

    assert answer.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13" in answer.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_too_old_or_too_new_is_passed_over(checkout: Path) -> None:
    _install(checkout, "python3", "exit 1")

    assert "needs Python" in _start(checkout).stderr


def test_without_the_venv_module_it_says_which_package_has_it(checkout: Path) -> None:
    _install(checkout, "python3", f'case "$*" in *ensurepip*) exit 1;; esac; exec "{sys.executable}" "$@"')

    answer = _start(checkout)

    assert answer.returncode == 1
    assert "apt-get install python3-venv" in answer.stderr


def test_a_prepared_checkout_starts_without_looking_for_python(checkout: Path) -> None:
    venv = checkout / ".venv"
    (venv / "bin").mkdir(parents=True)
    shutil.copy(checkout / "uv.lock", venv)
    _write_program(venv / "bin" / "python", 'echo "$PYTHONPATH|$*"')

    answer = _start(checkout, "orders", "timeline", "TB 1")

    assert answer.stdout == f"{checkout}|-P -m deploy.cli orders timeline TB 1\n"
    assert answer.stderr == ""


def test_a_preparation_that_was_cut_short_is_begun_again(checkout: Path) -> None:
    venv = checkout / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / ".unfinished").touch()
    (venv / "half").touch()
    _install(checkout, "python3", f'case "$*" in *"-m venv"*) exit 7;; esac; exec "{sys.executable}" "$@"')

    answer = _start(checkout)

    assert "first start" in answer.stderr
    assert answer.returncode == 1
    assert not (venv / "half").exists()


def _start(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(checkout / "orderbus"), *arguments],
        env={"PATH": str(checkout.parent / "bin"), "HOME": os.environ.get("HOME", "/")},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def _install(checkout: Path, name: str, script: str) -> None:
    _write_program(checkout.parent / "bin" / name, script)


def _write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
