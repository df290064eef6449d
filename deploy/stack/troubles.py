"""What a service's own metrics say of events that need a look."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Troubles:
    """How many dead letters by state, and how many stuck events by place; none where there are none."""

    dead_letters: dict[str, int] = field(default_factory=dict)
    stuck: dict[str, int] = field(default_factory=dict)


def troubles_of(url: str, token: str) -> Troubles | None:
    """From /metrics, measured every few seconds; None when the service does not answer."""
    import httpx

    from deploy.trust import trusted_at

    try:
        bearer = {"authorization": f"Bearer {token}"}
        answer = httpx.get(f"{url}/metrics", headers=bearer, timeout=5, verify=trusted_at(url), trust_env=False)
        answer.raise_for_status()
    except httpx.HTTPError:
        return None
    return read(answer.text)


def read(text: str) -> Troubles:
    """Out of Prometheus's text format."""
    from prometheus_client.parser import text_string_to_metric_families

    wanted = {"orderbus_dead_letters": ("state", Counter[str]()), "orderbus_stuck_events": ("where", Counter[str]())}
    for family in text_string_to_metric_families(text):
        if family.name in wanted:
            label, counts = wanted[family.name]
            for sample in family.samples:
                counts[sample.labels[label]] += int(sample.value)
    dead_letters, stuck = ({name: n for name, n in counts.items() if n} for _, counts in wanted.values())
    return Troubles(dead_letters, stuck)
