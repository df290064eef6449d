"""The shipped Prometheus configuration and rules, judged by Prometheus's own tool: each alert fires, and stays quiet."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.stack import observability, packages
from deploy.stack.state import CHECKOUT, StackError

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
