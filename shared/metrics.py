"""What a service counts, and `/metrics`. Names follow Prometheus conventions. One process serves its own numbers on its own
port; Prometheus adds up, so there is no file that processes share and no number that outlives its process.

Every label is bounded (`LABELS` says by what) and never an id: a series is kept for as long as Prometheus remembers.
"""

from collections.abc import Mapping, Sequence

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

# when each child was made: as many series again, and nobody asks for them
disable_created_metrics()  # type: ignore[no-untyped-call]

LABELS: Mapping[str, str] = {
    "type": "the event classes",
    "outcome": "a few words in the code",
    "what": "the servers that a service needs",
    "state": "the states of a dead letter, a shipment, a refund, a connection",
    "where": "the jobs, the duties, the tables of the bus, and handling",
    "method": "HTTP's methods",
    "route": "the routes, without what is filled into them",
    "status": "HTTP's status codes; an order's statuses",
    "partner": "the partners that are called",
    "job": "the jobs",
    "attempt": "first or again",
    "channel": "CHANNELS and other",
    "currency": "ISO 4217",
    "country": "two letters: ISO 3166-1",
    "carrier": "the carriers of the routing rules",
    "ending": "a charge's endings",
    "by": "the services; us or the shop",
    "milestone": "an order's milestones",
    "step": "ship or push",
}
"""What bounds the values of each label."""

CHANNELS = frozenset(
    {
        *("card", "redirect", "invoice", "alipay", "wechat_pay", "unionpay"),
        *("paypal", "stripe", "apple_pay", "google_pay", "klarna", "cash_on_delivery"),
    }
)
"""Payment channels that are counted by name. A shop may call its own anything."""

events_handled = Counter("orderbus_events_handled_total", "Events a handler has dealt with, by outcome.", ["type", "outcome"])
event_age = Histogram(
    "orderbus_event_age_seconds",
    "Time from an event's announcement by one of our services until it was handled, of the oldest in each transaction.",
    ["type"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200),
)
batch_events = Histogram(
    "orderbus_batch_events",
    "Events handled in one transaction.",
    ["type"],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000),
)
events_published = Counter("orderbus_events_published_total", "Events the broker has confirmed.", ["type"])
publish_failures = Counter("orderbus_publish_failures_total", "Events not published; they stay in the outbox.", ["type"])
infrastructure_failures = Counter("orderbus_infrastructure_failures_total", "Times a batch had to wait for Postgres.", ["what"])

outbox_rows = Gauge("orderbus_outbox_rows", "Events committed but not yet published.")
outbox_oldest_seconds = Gauge("orderbus_outbox_oldest_seconds", "Age of the oldest event not yet published.")
dead_letters = Gauge("orderbus_dead_letters", "Events that wait for a retry or for a person.", ["state"])
dead_letters_oldest_seconds = Gauge(
    "orderbus_dead_letters_oldest_seconds", "Time since the first failure of the oldest event that waits for a retry or a person."
)
dead_letter_retries = Counter("orderbus_dead_letter_retries_total", "Dead letters tried again, by outcome.", ["outcome"])
stuck_events = Gauge(
    "orderbus_stuck_events",
    "Events, calls and timers that are stuck: more than a minute late, and no time set for them.",
    ["where"],
)
orders_overdue = Gauge(
    "orderbus_orders_overdue",
    "Orders paid more than a minute ago that nobody holds and whose tracking number has not been pushed, by what is missing.",
    ["step"],
)
measured_at = Gauge("orderbus_measured_timestamp_seconds", "When the gauges that are read from Postgres were last read.")

http_seconds = Histogram(
    "orderbus_http_request_duration_seconds",
    "Time to answer an HTTP request.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
rate_limit_failures = Counter("orderbus_rate_limit_failures_total", "Times Redis did not answer; nothing is limited then.")

partner_seconds = Histogram(
    "orderbus_partner_call_duration_seconds",
    "Time a partner took to answer.",
    ["partner", "outcome"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
partner_calls = Gauge(
    "orderbus_partner_calls_in_flight", "Calls to a partner under way, or waiting for a connection.", ["partner"]
)
partner_silence = Gauge(
    "orderbus_partner_failures_in_a_row", "Calls since a partner last said yes or no to what it was asked.", ["partner"]
)
job_intents = Counter(
    "orderbus_job_intents_total", "Intents claimed for a call, for the first time or again.", ["job", "attempt"]
)

pool_connections = Gauge("orderbus_pool_connections", "Connections to Postgres, in use or idle.", ["state"])
pool_limit = Gauge("orderbus_pool_connections_limit", "Connections to Postgres that the process may have.")
loop_lag = Histogram(
    "orderbus_event_loop_lag_seconds",
    "Time by which the event loop came late to a timer.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)


def from_the_start(metric: Counter | Histogram, *values: str) -> None:
    """Have a series for each of these values before there is anything to count: to Prometheus one that begins with its first
    count has not risen to it."""
    for value in values:
        metric.labels(value)


from_the_start(infrastructure_failures, "postgres")
from_the_start(dead_letter_retries, "handled", "failed")


def channel(name: str) -> str:
    """The label of a payment channel."""
    return name if name in CHANNELS else "other"


def observe(histogram: Histogram, waits: Sequence[tuple[float, str | None]]) -> None:
    """Count these seconds, each with the trace that is recorded of it, if one is. Of these the longest has its trace kept as an
    exemplar: one is kept for each bucket, and whoever looks at one wants to know where the time went."""
    longest = max((wait for wait in waits if wait[1]), default=None)
    for wait in waits:
        histogram.observe(wait[0], {"trace_id": wait[1]} if wait is longest and wait[1] else None)


def exposition(accept: str) -> tuple[bytes, str]:
    """All of it and its content type: OpenMetrics, which has exemplars, for who asks for it; else Prometheus's text."""
    encode, content_type = choose_encoder(accept)
    return encode(REGISTRY), content_type
