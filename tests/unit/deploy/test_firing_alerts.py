"""What `status` tells of Prometheus's alerts."""

from typing import Any

import pytest
from rich.console import Console

from deploy.cli.stack import alerts_of, alerts_table, show
from deploy.stack.alerts import Alert, firing, read
from deploy.stack.stack import Line

URL = "http://127.0.0.1:9090"
NOBODY_LISTENS = "http://127.0.0.1:1"

DOWN = Alert("ServiceDown", "page", "orders does not answer", "2026-11-25T10:00:05.5Z", "docs/runbooks/service-down.md")
LETTERS = Alert("DeadLetters", "ticket", "2 events wait [for] a person", "2026-11-25T09:00:00Z", "docs/runbooks/dead-letters.md")


def told(alert: Alert, state: str = "firing") -> dict[str, Any]:
    """As Prometheus answers."""
    return {
        "labels": {"alertname": alert.name, "severity": alert.severity, "service": "orders"},
        "annotations": {"summary": alert.summary, "description": "…", "runbook_url": alert.runbook},
        "state": state,
        "activeAt": alert.since,
        "value": "1e+00",
    }


def prometheus(alerts: list[Alert] | None) -> Line:
    return Line("prometheus", "running", URL, 7, alerts=alerts)


def test_what_fires_is_read_with_pages_first_and_what_only_may_fire_soon_is_left_out() -> None:
    assert read([told(LETTERS), told(LETTERS, "pending"), told(DOWN)]) == [DOWN, LETTERS]


def test_a_prometheus_that_does_not_answer_is_not_taken_for_quiet() -> None:
    assert firing(NOBODY_LISTENS) is None
    ((severity, said, *_),) = alerts_of([prometheus(None)])
    assert (severity, said) == ("unknown", "Prometheus cannot be reached, so nobody can say which alerts fire")


def test_nothing_is_said_of_alerts_where_nobody_watches_or_none_fires() -> None:
    assert alerts_of([Line("orders", "running", URL, 7)]) == []
    assert alerts_of([prometheus([])]) == []


def test_each_alert_is_a_line_with_its_severity_since_when_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    show([prometheus([DOWN])])

    line = capsys.readouterr().out.splitlines()[-1]
    assert line == "page  ServiceDown  2026-11-25T10:00:05  orders does not answer  docs/runbooks/service-down.md"


def test_a_summary_is_shown_as_it_is() -> None:
    console = Console(width=200, record=True)

    console.print(alerts_table(alerts_of([prometheus([LETTERS])])))

    assert LETTERS.summary in console.export_text()
