"""The shipped Prometheus configuration and rules, judged by Prometheus's own tool: each alert fires, and stays quiet."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.stack import observability, packages, ports, processes, waiting
from deploy.stack.state import CHECKOUT, StackError, open_folder

CASES = sorted((CHECKOUT / "tests" / "alerts").glob("*.yml"))
RULES = sorted((observability.SHIPPED / "rules").glob("*.yml"))

ALERTS: dict[str, Any] = {
    rule["alert"]: rule
    for path in RULES
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


@pytest.fixture(scope="module", autouse=True)
def _prometheus_is_installed() -> None:
    try:
        observability.install(lambda _: None)
    except StackError as missing:
        if packages.can_install():
            raise
        pytest.skip(str(missing))


def promtool(*arguments: "str | Path") -> None:
    answer = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_configuration_and_the_rules_are_valid() -> None:
    promtool("check", "config", observability.SHIPPED / "prometheus.yml")
    promtool("check", "rules", *RULES)


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_each_alert_fires_when_it_should_and_only_then(cases: Path) -> None:
    promtool("test", "rules", cases)


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(alert: str) -> None:
    cases = [case for path in CASES for case in yaml.safe_load(path.read_text())["tests"] if case["name"] == alert]
    outcomes = {bool(judged["exp_samples"]) for case in cases for judged in case["promql_expr_test"]}

    assert outcomes == {True, False}


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_says_how_urgent_it_is_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]

    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")
    assert (CHECKOUT / rule["annotations"]["runbook_url"]).is_file()


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one with the shipped configuration."""
    folder = open_folder(tmp_path_factory.mktemp("alertmanager"))
    url = f"http://127.0.0.1:{ports.settle(folder, ['alertmanager'], [])['alertmanager']}"
    command = [
        "prometheus-alertmanager",
        f"--config.file={observability.TOLD}",
        f"--storage.path={folder.path / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--cluster.listen-address=",
    ]
    processes.spawn(folder, "alertmanager", command, environment=processes.plain_environment(), directory=folder.path)
    assert waiting.until(lambda: amtool(url, "alert").returncode == 0, 30)
    yield url
    processes.stop(folder, ["alertmanager"])


def amtool(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["amtool", f"--alertmanager.url={url}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("pages", "superfluous"),
    [
        ("OrdersPushedLate", "OrdersPushedLateSlowly"),
        ("ApiSlowOrFailing", "ApiSlowOrFailingSlowly"),
        ("ServiceDown", "AuditViolations"),
    ],
)
def test_who_was_woken_for_a_thing_is_not_told_of_it_twice(alertmanager: str, pages: str, superfluous: str) -> None:
    for alert in (pages, superfluous, "StockOuts"):
        labels = [f"{name}={value}" for name, value in ALERTS[alert]["labels"].items()]
        added = amtool(alertmanager, "alert", "add", alert, *labels, "service=orders")
        assert added.returncode == 0, added.stderr

    def told() -> set[str]:
        listed = json.loads(amtool(alertmanager, "alert", "query", "--active", "--output=json").stdout)
        return {alert["labels"]["alertname"] for alert in listed}

    assert waiting.until(lambda: {pages, "StockOuts"} <= told() and superfluous not in told(), 10), told()
