"""What Prometheus says of the shipped rules: which alerts fire."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Alert:
    """One that fires. `since`: when it began to hold, in ISO 8601; `runbook`: the page that says what to do."""

    name: str
    severity: str
    summary: str
    since: str
    runbook: str


def firing(url: str) -> list[Alert] | None:
    """Those that fire now, pages first and then the longest; None when Prometheus does not answer."""
    import httpx

    from deploy.trust import trusted_at

    try:
        answer = httpx.get(f"{url}/api/v1/alerts", timeout=5, verify=trusted_at(url), trust_env=False)
        answer.raise_for_status()
        return read(answer.json()["data"]["alerts"])
    except (httpx.HTTPError, ValueError):
        return None


def read(told: Sequence[Mapping[str, Any]]) -> list[Alert]:
    """Out of what Prometheus answers; one whose time has not come yet is left out."""
    alerts = [
        Alert(
            each["labels"]["alertname"],
            each["labels"].get("severity", ""),
            each["annotations"].get("summary", ""),
            each["activeAt"],
            each["annotations"].get("runbook_url", ""),
        )
        for each in told
        if each["state"] == "firing"
    ]
    return sorted(alerts, key=lambda alert: (alert.severity != "page", alert.since, alert.name, alert.summary))
