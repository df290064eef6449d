"""What `deploy.prepare` is told, by variable or by file."""

from pathlib import Path

import pytest

from deploy.prepare import optional_secret, secret, verifier


@pytest.mark.parametrize("by_file", [False, True])
@pytest.mark.parametrize(("said", "heard"), [("a-password", "a-password"), ("", None)])
def test_an_empty_secret_is_none(
    said: str, heard: str | None, *, by_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text(f"{said}\n")
    monkeypatch.setenv("ORDERBUS_X_FILE", str(tmp_path / "secret") if by_file else "")
    monkeypatch.setenv("ORDERBUS_X", "of the file" if by_file else said)

    assert optional_secret("ORDERBUS_X") == heard
    if heard is None:
        with pytest.raises(SystemExit, match=r"ORDERBUS_X \(or ORDERBUS_X_FILE\) is not set, or is empty"):
            secret("ORDERBUS_X")


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERBUS_X_FILE", str(tmp_path / "missing"))

    with pytest.raises(SystemExit, match=r"ORDERBUS_X_FILE: .*/missing cannot be read"):
        secret("ORDERBUS_X")


def test_what_postgres_is_told_of_a_password_differs_each_time_and_does_not_hold_it() -> None:
    one, other = verifier("a-password"), verifier("a-password")

    assert one.startswith("SCRAM-SHA-256$4096:")
    assert one != other
    assert "a-password" not in one
