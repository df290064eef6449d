"""One order: its logs, its traces, and where the rest of it is. Order ids are in no metric: there would be a series for each."""

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import logs, loki, table, tempo
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import DashboardLinkType

from deploy.grafana.panels import LOKI, TEMPO, lines, page, quantile, row, words

TIMELINE = "$gateway/api/orders/$order/timeline"

WHERE = f"""\
| | |
| --- | --- |
| what every service said of it, and when | `./orderbus orders timeline $order`, or [{TIMELINE}]({TIMELINE}) |
| what it waits for, and whose it is | `./orderbus doctor` |
| what of it could not be handled | `./orderbus dead-letters list --all` |
| its payment, its parcel | [payment]($gateway/api/payments?order_id=$order), [parcel]($gateway/api/shipments?order_id=$order) |

The links want a bearer token with `orders:read`, `payments:read`, `shipments:read`.
"""


def dashboard() -> Dashboard:
    """As Grafana takes it."""
    return (
        page("orderbus-order", "Order", "Type an order's id: its logs, its traces, and where its timeline is.", "now-24h")
        .with_variable(builders.TextBoxVariable("order").label("Order").description("An order's id, ours or the shop's."))
        .with_variable(
            builders.TextBoxVariable("gateway")
            .label("Gateway")
            .description("Where the services' API is.")
            .default_value("https://localhost:8443")
        )
        .link(
            builders.DashboardLink("Its timeline")
            .type(DashboardLinkType.LINK)
            .url("${gateway}/api/orders/${order}/timeline")
            .target_blank(True)
        )
        .with_panel(words("Where the rest of it is", WHERE, height=7))
        .with_panel(
            table.Panel()
            .title("Traces")
            .description("From the request or event that began it to the pushed number; one id opens the whole.")
            .datasource(TEMPO)
            .with_target(tempo.TempoQuery().query_type("traceql").query('{ span.orderbus.order_id = "$order" }').limit(20))
            .span(24)
            .height(8)
        )
        .with_panel(
            logs.Panel()
            .title("Logs")
            .description("What the services logged of it; a line leads to its trace.")
            .datasource(LOKI)
            .show_time(True)
            .enable_log_details(True)
            .wrap_log_message(True)
            .with_target(loki.Dataquery().expr('{service_name=~".+"} | order_id = `$order`'))
            .span(24)
            .height(10)
        )
        .with_row(row("What is usual"))
        .with_panel(
            lines(
                "From placed to each milestone, nineteen of twenty",
                {"{{milestone}}": quantile(0.95, "orderbus_order_milestone_seconds", "milestone")},
                "s",
                "To compare with. The dots are single slow orders: each leads to its trace.",
                width=12,
                exemplars=True,
            )
        )
        .with_panel(
            lines(
                "Age of events when handled, nineteen of twenty",
                {"{{type}} in {{service}}": quantile(0.95, "orderbus_event_age_seconds", "type, service")},
                "s",
                "Which hop is slow.",
                width=12,
                exemplars=True,
            )
        )
    )
