"""What is counted stays bounded, and says which trace was slow to whoever understands that."""

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Histogram
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from deploy.services import SERVICES
from shared import metrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def ours() -> dict[str, Collector]:
    """Every metric of the four services, by name."""
    assert SERVICES  # importing them has made them all
    return {name: each for name, each in REGISTRY._names_to_collectors.items() if name.startswith("orderbus_")}


def test_every_label_is_bounded_by_something_that_is_said() -> None:
    labels = {label: name for name, metric in ours().items() for label in getattr(metric, "_labelnames", ())}

    assert set(labels) == set(metrics.LABELS)


def test_every_metric_says_what_it_is() -> None:
    assert [name for name, metric in ours().items() if not getattr(metric, "_documentation", "").endswith(".")] == []


@pytest.mark.parametrize(
    ("metric", "seconds"),
    [
        ("orderbus_paid_to_pushed_seconds", 60),
        ("orderbus_http_request_duration_seconds", 0.5),
        # at a hundred orders a second ninety-nine of a hundred are pushed within this
        ("orderbus_paid_to_pushed_seconds", 0.2),
        ("orderbus_order_milestone_seconds", 0.2),
    ],
)
def test_what_was_promised_can_be_read_off_a_bucket_and_is_no_guess_between_two(metric: str, seconds: float) -> None:
    assert seconds in ours()[metric]._kwargs["buckets"]  # type: ignore[attr-defined]


def test_a_channel_that_a_shop_made_up_is_counted_as_other() -> None:
    assert metrics.channel("card") == "card"
    assert metrics.channel("x" * 32) == "other"


def test_the_longest_wait_has_its_trace_kept() -> None:
    registry = CollectorRegistry()
    histogram = Histogram("waits_seconds", "Waits.", buckets=(1, 10), registry=registry)

    metrics.observe(histogram, [(0.1, "a" * 32), (5.0, "b" * 32), (2.0, None)])
    metrics.observe(histogram, [])

    said = generate_latest(registry).decode()  # type: ignore[no-untyped-call]
    assert "waits_seconds_count 3.0" in said
    assert f'waits_seconds_bucket{{le="10.0"}} 3.0 # {{trace_id="{"b" * 32}"}} 5.0' in said
    assert "a" * 32 not in said


def test_openmetrics_is_for_who_asks_for_it() -> None:
    text, text_type = metrics.exposition("*/*")
    openmetrics, openmetrics_type = metrics.exposition(OPENMETRICS)

    assert text_type.startswith("text/plain")
    assert openmetrics_type.startswith("application/openmetrics-text")
    assert not text.endswith(b"# EOF\n")
    assert openmetrics.endswith(b"# EOF\n")
