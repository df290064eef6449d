"""What commands show is whole, however narrow the terminal is."""

import io

import pytest
from rich.console import Console

from deploy.audit.report import Check, Report
from deploy.cli import audit, dead_letters
from deploy.cli.paper import paper

LETTER = {
    "id": "01a212c2-10a6-7469-a7d8-ba42fdf2f18c",
    "service": "inventory",
    "type": "payment.action_required",
    "subject": "TB-2",
    "state": "dead",
    "attempts": 6,
    "last_failed_at": "2026-11-25T12:50:37.861526Z",
    "reason": "total: Field required",
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Of eighty columns."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


def test_a_terminal_that_is_too_narrow_for_a_table_is_given_plain_lines(terminal: Terminal) -> None:
    assert paper(terminal, least=80).is_terminal
    assert not paper(terminal, least=81).is_terminal


def test_a_dead_letter_is_shown_with_its_whole_id_and_its_reason(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", terminal)

    dead_letters._print({"letters": [LETTER]}, False, dead_letters._letters_table)

    assert all(str(LETTER[name]) in terminal.getvalue() for name in ("id", "service", "type", "state", "reason"))


def test_an_audit_names_its_checks_as_the_runbook_does() -> None:
    stream = io.StringIO()
    name = "orders_hold_the_stock_they_should"

    Console(file=stream, width=80).print(audit.table(Report([Check(name, "a paid order has deducted its lines", 3)])))

    assert name in stream.getvalue()
