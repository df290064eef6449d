"""What a service counts. Names follow Prometheus conventions; labels are event types and outcomes, never ids."""

from prometheus_client import Counter, Gauge, Histogram

events_handled = Counter("orderbus_events_handled_total", "Events a handler has dealt with, by outcome.", ["type", "outcome"])
events_published = Counter("orderbus_events_published_total", "Events the broker has confirmed.", ["type"])
publish_failures = Counter("orderbus_publish_failures_total", "Events not published; they stay in the outbox.", ["type"])
batch_events = Histogram(
    "orderbus_batch_events", "Events handled in one transaction.", ["type"], buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
infrastructure_failures = Counter(
    "orderbus_infrastructure_failures_total", "Times a batch had to wait for Postgres or RabbitMQ.", ["what"]
)
dead_letters = Gauge("orderbus_dead_letters", "Events that wait for a retry or for a person.", ["state"])
stuck_events = Gauge(
    "orderbus_stuck_events", "Events that are stuck: more than a minute late, and no time set for them.", ["where"]
)
outbox_rows = Gauge("orderbus_outbox_rows", "Events committed but not yet published.")
outbox_oldest_seconds = Gauge("orderbus_outbox_oldest_seconds", "Age of the oldest event not yet published.")
http_seconds = Histogram(
    "orderbus_http_request_duration_seconds",
    "Time to answer an HTTP request.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
partner_seconds = Histogram("orderbus_partner_call_duration_seconds", "Time a partner took to answer.", ["partner", "outcome"])
rate_limit_failures = Counter("orderbus_rate_limit_failures_total", "Times Redis did not answer; nothing is limited then.")
