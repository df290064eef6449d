"""What a stack writes down is whole, and its owner's alone."""

import shutil
import stat
import threading
from pathlib import Path

import pytest

from deploy.stack import credentials, state
from deploy.stack.state import StackError, locked, open_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_its_owner_can_read_a_stack(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "stack")

    folder.write("stack.json", {"token": "secret"})

    assert mode(folder.path) == 0o700
    assert mode(folder.path / "stack.json") == 0o600


def test_what_was_torn_or_never_written_reads_as_nothing(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    (folder.path / "torn.json").write_text('{"pid": 12')

    assert folder.read("torn.json") == {}
    assert folder.read("missing.json") == {}


def test_two_folders_are_two_stacks_and_one_folder_is_always_the_same(tmp_path: Path) -> None:
    one, other = open_folder(tmp_path / "one"), open_folder(tmp_path / "other")

    assert one.id != other.id
    assert open_folder(tmp_path / "other" / ".." / "one").id == one.id


def test_a_checkout_that_was_moved_or_copied_does_not_begin_with_empty_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    monkeypatch.setattr(state, "CHECKOUT", before)
    assert state.checkout_folder() == state.checkout_folder()
    before.rename(after)
    monkeypatch.setattr(state, "CHECKOUT", after)

    with pytest.raises(StackError, match=rf"was made at {before}/.orderbus.*rm -r {after}/.orderbus"):
        state.checkout_folder()

    shutil.rmtree(after / ".orderbus")
    assert state.checkout_folder().path == after / ".orderbus"


def test_a_second_start_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    waits = threading.Event()
    finished: list[str] = []

    def second() -> None:
        with locked(folder, say=lambda _: waits.set()):
            finished.append("second")

    thread = threading.Thread(target=second)
    with locked(folder):
        thread.start()
        assert waits.wait(10)
        finished.append("first")
    thread.join(10)

    assert finished == ["first", "second"]


def test_secrets_are_made_once_and_differ_between_stacks(tmp_path: Path) -> None:
    one, other = open_folder(tmp_path / "one"), open_folder(tmp_path / "other")

    first = credentials.keep(one)

    assert credentials.keep(one) == first
    assert not set(first.values.values()) & set(credentials.keep(other).values.values())
    assert mode(one.path / credentials.FILE) == 0o600


def test_a_secret_that_an_older_version_did_not_know_is_added_to_the_others(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    folder.write(credentials.FILE, {"postgres": "known"})

    kept = credentials.keep(folder)

    assert kept["postgres"] == "known"
    assert kept["twilio_auth_token"]
