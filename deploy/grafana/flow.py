"""Flow: the pipeline from left to right, with how much goes through each hop, how old it is, and what waits before it."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.panels import bad_from, lines, number, page, quantile, row

HOPS = (
    ("order.placed", "inventory"),
    ("stock.reserved", "payments"),
    ("payment.captured", "orders"),
    ("order.paid", "logistics"),
    ("stock.deducted", "logistics"),
    ("shipment.created", "orders"),
    ("tracking.pushed", "orders"),
    ("shipment.delivered", "orders"),
)
"""An order's way: what is said, and who acts on it."""

WIDTH = 24 // len(HOPS)

OURS = 'queue=~"(orders|inventory|payments|logistics)[.].+"'


def dashboard() -> Dashboard:
    """As Grafana takes it."""
    made = page("orderbus-flow", "Flow", "Each hop of an order's way: how much, how late, and what waits.", "now-30m")
    made = made.with_row(row("How much: events handled a second"))
    for event_type, service in HOPS:
        made = made.with_panel(
            number(
                f"{event_type} → {service}",
                f'sum(rate(orderbus_events_handled_total{{service="{service}", type="{event_type}", outcome="handled"}}'
                "[$__rate_interval]))",
                "eps",
                f"{event_type} as {service} handles it.",
                width=WIDTH,
                decimals=1,
            )
        )
    made = made.with_row(row("How late: age when handled, 95 %"))
    for event_type, service in HOPS:
        made = made.with_panel(
            number(
                f"{event_type} → {service}",
                quantile(0.95, "orderbus_event_age_seconds", matching=f'service="{service}", type="{event_type}"'),
                "s",
                f"From its announcement until {service} had handled it, of the oldest in each transaction.",
                bad_from(30, 5),
                width=WIDTH,
                links={"QueueBacklog": "/d/orderbus-reliability"},
            )
        )
    made = made.with_row(row("What waits: messages in the queue"))
    for event_type, service in HOPS:
        made = made.with_panel(
            number(
                f"{service}.{event_type}",
                f'sum(rabbitmq_detailed_queue_messages{{queue="{service}.{event_type}"}})',
                "short",
                "Messages there and in hand. One holds up to a thousand events.",
                bad_from(1000, 100),
                width=WIDTH,
            )
        )
    return (
        made.with_row(row("Out"))
        .with_panel(
            lines(
                "Published",
                {"{{service}}": "sum by (service) (rate(orderbus_events_published_total[$__rate_interval]))"},
                "eps",
                "Events that the broker has confirmed.",
                stacked=True,
            )
        )
        .with_panel(
            lines(
                "In the outbox",
                {"{{service}}": "max by (service) (orderbus_outbox_rows)"},
                "short",
                "Committed and not yet published. Hundreds pass through within milliseconds under load.",
                bad_from(10_000),
            )
        )
        .with_panel(
            lines(
                "Oldest in the outbox",
                {"{{service}}": "max by (service) (orderbus_outbox_oldest_seconds)"},
                "s",
                "OutboxStuck pages when there is one of a minute.",
                bad_from(60),
            )
        )
        .with_row(row("In"))
        .with_panel(
            lines(
                "Handled",
                {"{{service}}": 'sum by (service) (rate(orderbus_events_handled_total{outcome="handled"}[$__rate_interval]))'},
                "eps",
                "Events that have taken effect.",
                stacked=True,
            )
        )
        .with_panel(
            lines(
                "Heard again, and failed",
                {
                    "{{service}} {{outcome}}": "sum by (service, outcome) "
                    '(rate(orderbus_events_handled_total{outcome!="handled"}[$__rate_interval]))'
                },
                "eps",
                "Duplicates do nothing; what failed, could not be read or was given up is a dead letter.",
            )
        )
        .with_panel(
            lines(
                "Events in a transaction",
                {
                    "{{service}}": "sum by (service) (rate(orderbus_batch_events_sum[$__rate_interval]))"
                    " / sum by (service) (rate(orderbus_batch_events_count[$__rate_interval]))"
                },
                "short",
                "The more there is to do, the more go together.",
            )
        )
        .with_row(row("Between"))
        .with_panel(
            lines(
                "Messages in the queues",
                {"{{queue}}": f"sum by (queue) (rabbitmq_detailed_queue_messages{{{OURS}}})"},
                "short",
                "There and in hand.",
                bad_from(1000),
                width=12,
            )
        )
        .with_panel(
            lines(
                "Consumers",
                {"{{queue}}": f"min by (queue) (sum by (queue, vhost) (rabbitmq_detailed_queue_consumers{{{OURS}}}))"},
                "short",
                "QueueUnheard pages when a queue of ours has none.",
                width=12,
            )
        )
    )
