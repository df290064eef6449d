"""Tokens of tracking webhooks."""

import pytest

from services.logistics.header_token import tokens, verify
from services.logistics.standard_webhooks import NotSigned

OLD, NEW = "o" * 32, "n" * 32
BODY = b'{"shipments":[]}'


def test_the_token_is_changed_without_a_gap() -> None:
    known = tokens(f"{NEW}, {OLD}")

    assert verify(known, OLD, BODY) == verify(known, NEW, BODY)


@pytest.mark.parametrize("given", ["", "n" * 31, "n" * 33, f"{NEW},{OLD}", "ü" * 32, "N" * 32])
def test_another_token_proves_nothing(given: str) -> None:
    with pytest.raises(NotSigned):
        verify(tokens(NEW), given, BODY)


def test_without_a_token_of_ours_none_is_right() -> None:
    with pytest.raises(NotSigned):
        verify((), "", BODY)


def test_what_says_the_same_is_the_same_notification() -> None:
    assert verify(tokens(NEW), NEW, BODY) == verify(tokens(NEW), NEW, BODY) != verify(tokens(NEW), NEW, b"{}")


@pytest.mark.parametrize("secrets", ["", "short", f"{NEW},", f"{NEW},short"])
def test_a_token_that_could_be_guessed_is_refused(secrets: str) -> None:
    with pytest.raises(ValueError, match="32"):
        tokens(secrets)
