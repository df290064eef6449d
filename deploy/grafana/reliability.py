"""Reliability: is what was promised kept, and if not, what is the matter?"""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.panels import NONE_IS_GOOD, bad_from, bars, good_from, lines, number, page, quantile, row

OBJECTIVES = {
    "push": "paid orders pushed within a minute",
    "api": "API calls good and within 500 ms",
    "dead_letters": "no dead letter older than 15 minutes",
}
"""The recording rules' names, and what each promises for 99.9 %."""

BURN = (
    "How many times faster than evenly the month's budget of 0.1 % is spent. At 14.4 over an hour, or 6 over six, somebody is "
    "woken; at 1 over three days a ticket is written."
)


def dashboard() -> Dashboard:
    """As Grafana takes it."""
    made = page("orderbus-reliability", "Reliability", "Objectives, what endangers them, and what waits for a person.", "now-6h")
    made = made.with_row(row("Objectives"))
    for name, promise in OBJECTIVES.items():
        made = made.with_panel(
            number(
                promise[0].upper() + promise[1:],
                f"1 - orderbus:{name}_errors:ratio_3d",
                "percentunit",
                "Over three days, as far as Prometheus remembers. The objective is 99.9 %.",
                good_from(0.999, 0.99),
                width=6,
                decimals=3,
                links={"Objectives and alerts": "https://sre.google/workbook/alerting-on-slos/"},
            )
        )
    made = made.with_panel(
        number(
            "Alerts that fire",
            'sum by (alertname, severity) (ALERTS{alertstate="firing"}) or vector(0)',
            "short",
            "Each has a page in docs/runbooks: what it means, how to see it, what to do.",
            NONE_IS_GOOD,
            width=6,
            legend="{{alertname}} {{severity}}",
        )
    )
    for name, promise in OBJECTIVES.items():
        made = made.with_panel(
            lines(
                f"Burn: {promise}",
                {
                    "1 h": f"orderbus:{name}_errors:ratio_1h / 0.001",
                    "6 h": f"orderbus:{name}_errors:ratio_6h / 0.001",
                    "3 d": f"orderbus:{name}_errors:ratio_3d / 0.001",
                },
                "short",
                BURN,
                bad_from(14.4, 6),
            )
        )
    return (
        made.with_row(row("What waits"))
        .with_panel(
            lines(
                "Orders past their minute",
                {"wait for {{step}}": "max by (step) (orderbus_orders_overdue)"},
                "short",
                "Paid, held by nobody, and their number is not pushed: ship, no waybill yet; push, the shopper is not told yet.",
                bad_from(1),
            )
        )
        .with_panel(
            lines(
                "Dead letters",
                {"{{service}} {{state}}": "max by (service, state) (orderbus_dead_letters)"},
                "short",
                "`retrying` passes by itself or becomes `dead`, which waits for a person.",
                bad_from(1),
            )
        )
        .with_panel(
            lines(
                "Oldest dead letter",
                {"{{service}}": "max by (service) (orderbus_dead_letters_oldest_seconds)"},
                "s",
                "DeadLettersUnhandled pages when one is 15 minutes old.",
                bad_from(900, 300),
            )
        )
        .with_panel(
            lines(
                "Stuck",
                {"{{service}} {{where}}": "max by (service, where) (orderbus_stuck_events)"},
                "short",
                "Over a minute late, with no time set: in the outbox, in handling, calls that nobody makes, timers.",
                bad_from(1),
            )
        )
        .with_panel(
            lines(
                "Oldest in the outbox",
                {"{{service}}": "max by (service) (orderbus_outbox_oldest_seconds)"},
                "s",
                "Committed, and nobody else knows of it yet.",
                bad_from(60, 10),
            )
        )
        .with_panel(
            lines(
                "Tried again",
                {
                    "dead letters {{outcome}}": "sum by (outcome) (rate(orderbus_dead_letter_retries_total[$__rate_interval]))",
                    "calls: {{job}}": 'sum by (job) (rate(orderbus_job_intents_total{attempt="again"}[$__rate_interval]))',
                    "events not published": "sum(rate(orderbus_publish_failures_total[$__rate_interval])) or vector(0)",
                    "batches that wait for {{what}}": "sum by (what) "
                    "(rate(orderbus_infrastructure_failures_total[$__rate_interval]))",
                },
                "ops",
                "Costs time and no orders. `calls` counts also the regular asking for a shopper's payment.",
            )
        )
        .with_row(row("Partners"))
        .with_panel(
            lines(
                "Answers",
                {
                    "{{partner}} {{outcome}}": "sum by (partner, outcome) "
                    "(rate(orderbus_partner_call_duration_seconds_count[$__rate_interval]))"
                },
                "reqps",
                "`unknown`: none came. 4xx is a no, and an answer; 401 and 403 do not let us in, 409 and 429 not now.",
                stacked=True,
            )
        )
        .with_panel(
            lines(
                "Time to answer, nineteen of twenty",
                {"{{partner}}": quantile(0.95, "orderbus_partner_call_duration_seconds", "partner")},
                "s",
                "Counted with the wait for a free connection, until the time-out.",
                bad_from(5, 2),
            )
        )
        .with_panel(
            bars(
                "Failures in a row",
                {"{{partner}}": "max by (partner) (orderbus_partner_failures_in_a_row)"},
                "short",
                "Calls since it last said yes or no to what it was asked. PartnerSilent pages at ten.",
                bad_from(10, 3),
                width=4,
            )
        )
        .with_panel(
            bars(
                "Calls in flight",
                {"{{partner}}": "sum by (partner) (orderbus_partner_calls_in_flight)"},
                "short",
                "Under way, or waiting for a connection; 64 for each process.",
                bad_from(60, 40),
                width=4,
            )
        )
        .with_row(row("Does everything add up?"))
        .with_panel(
            bars(
                "Audit",
                {"{{invariant}}": "max by (invariant) (orderbus_audit_violations)"},
                "short",
                "Offenders that the last audit found. `./orderbus audit` names them.",
                NONE_IS_GOOD,
                width=16,
                height=10,
            )
        )
        .with_panel(
            number(
                "Since the last audit",
                "time() - max(orderbus_audit_last_success_timestamp_seconds)",
                "s",
                "Silence is not order: AuditSilent fires after ten minutes.",
                bad_from(600, 180),
                width=8,
                height=10,
            )
        )
    )
