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


def test_a_checkout_that_cannot_be_written_to_is_named(checkout: Path) -> None:
    (checkout / ".orderbus").touch()  # whoever runs the tests may write to any folder
    _cannot_make_venvs(checkout)

    answer = _start(checkout)

    assert answer.returncode == 1
    assert f"{checkout}/.orderbus cannot be written to" in answer.stderr
    assert "Traceback" not in answer.stderr


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
    _cannot_make_venvs(checkout)

    answer = _start(checkout)

    assert "first start" in answer.stderr
    assert answer.returncode == 1
    assert not (venv / "half").exists()


def test_an_update_that_was_cut_short_is_not_taken_for_ready_once_the_lock_is_the_old_one_again(checkout: Path) -> None:
    venv = _prepared(checkout)
    (venv / ".unfinished").touch()
    _cannot_make_venvs(checkout)

    assert "first start" in _start(checkout).stderr
    assert not (venv / "lib").exists()


def test_after_an_upgrade_of_python_all_is_made_anew(checkout: Path) -> None:
    venv = _prepared(checkout, python="python3.12", libraries="python3.12")
    assert _start(checkout).returncode == 0
    (venv / "bin" / "python").unlink()
    _install(checkout, "python3.13", "exit 0")
    (venv / "bin" / "python").symlink_to(checkout.parent / "bin" / "python3.13")
    _cannot_make_venvs(checkout)

    assert "first start" in _start(checkout).stderr
    assert not (venv / "lib").exists()


@pytest.mark.parametrize(
    ("is_writable", "told", "cached"), [(True, {}, ""), (False, {}, "1"), (False, {"UV_CACHE_DIR": "/x"}, "")]
)
def test_a_home_that_cannot_be_written_to_is_done_without(
    checkout: Path, told: dict[str, str], cached: str, *, is_writable: bool
) -> None:
    home, venv = checkout.parent / "home", checkout / ".venv"
    if is_writable:
        home.mkdir()
    else:
        home.touch()  # whoever runs the tests may write to any folder
    uv = f'#!/bin/sh\nprintf %s "${{UV_NO_CACHE-}}" >"{checkout}/told"\n'
    makes_one = f"mkdir -p '{venv}/bin'; printf '#!/bin/sh\n' >'{venv}/bin/python'; printf %s '{uv}' >'{venv}/bin/uv'"
    makes_one += f"; chmod +x '{venv}/bin/python' '{venv}/bin/uv'; exit 0"
    _install(checkout, "python3", f'case "$*" in *"-m venv"*) {makes_one};; esac; exec "{sys.executable}" "$@"')
    (checkout.parent / "bin" / "chmod").symlink_to(shutil.which("chmod") or "")

    answer = _start(checkout, HOME=str(home), **told)

    assert answer.returncode == 0, answer.stderr
    assert (checkout / "told").read_text() == cached


def _prepared(checkout: Path, python: str = "python", libraries: str = "python3.12") -> Path:
    """A .venv whose interpreter is a program of this name, outside of it."""
    venv = checkout / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "lib" / libraries).mkdir(parents=True)
    shutil.copy(checkout / "uv.lock", venv)
    _install(checkout, python, "exit 0")
    (venv / "bin" / "python").symlink_to(checkout.parent / "bin" / python)
    return venv


def _cannot_make_venvs(checkout: Path) -> None:
    _install(checkout, "python3", f'case "$*" in *"-m venv"*) exit 7;; esac; exec "{sys.executable}" "$@"')


def _start(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(checkout / "orderbus"), *arguments],
        env={"PATH": str(checkout.parent / "bin"), "HOME": os.environ.get("HOME", "/"), **environment},
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
