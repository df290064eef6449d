"""Business now: is money being made, and what stands in its way?"""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.panels import bad_from, bars, good_from, lines, number, page, quantile, row

MILESTONES = ("paid", "shipped", "pushed", "delivered", "completed")


def dashboard() -> Dashboard:
    """As Grafana takes it."""
    return (
        page("orderbus-business", "Business now", "Orders and money, from the shopper's click to the parcel at the door.")
        .with_row(row("Now"))
        .with_panel(
            number(
                "Orders a minute",
                "sum(rate(orderbus_orders_accepted_total[$__rate_interval])) * 60",
                "short",
                "Orders taken on, over HTTP and from other systems.",
                decimals=1,
            )
        )
        .with_panel(
            number(
                "Money taken",
                "sum by (currency) (increase(orderbus_captured_money_total[$__range]))",
                "short",
                "In the time shown, by us or by the shop, in each currency's major unit. Prometheus estimates; the ledger knows.",
                legend="{{currency}}",
            )
        )
        .with_panel(
            number(
                "Money given back",
                "sum by (currency) (increase(orderbus_refunded_money_total[$__range]))",
                "short",
                "In the time shown, in each currency's major unit.",
                legend="{{currency}}",
            )
        )
        .with_panel(
            number(
                "Charges that succeed",
                'sum(increase(orderbus_payments_total{ending="captured"}[$__range]))'
                ' / sum(increase(orderbus_payments_total{ending=~"captured|failed"}[$__range]))',
                "percentunit",
                "Of the charges that the channels answered in the time shown. A voided charge was not wanted any more.",
                good_from(0.9, 0.7),
                links={"What to do": "/d/orderbus-reliability"},
            )
        )
        .with_panel(
            number(
                "Paid to pushed, 95 %",
                "histogram_quantile(0.95, sum by (le) (increase(orderbus_paid_to_pushed_seconds_bucket[$__range])))",
                "s",
                "Nineteen of twenty shoppers have their tracking number sooner than this after paying.",
                bad_from(60, 10),
                links={"The pipeline": "/d/orderbus-flow"},
            )
        )
        .with_panel(
            number(
                "Wait for a person",
                "max(orderbus_orders_held)",
                "short",
                "Orders held now. Each says why: GET /api/orders?status=held.",
                bad_from(50, 1),
            )
        )
        .with_row(row("From the order to the door"))
        .with_panel(
            bars(
                "How far they came",
                {
                    "placed": "sum(increase(orderbus_orders_accepted_total[$__range]))",
                    "stock set aside": 'sum(increase(orderbus_stock_decisions_total{outcome="reserved"}[$__range]))',
                    **{
                        milestone: f'sum(increase(orderbus_order_milestone_seconds_count{{milestone="{milestone}"}}[$__range]))'
                        for milestone in MILESTONES
                    },
                },
                "short",
                "Orders that have come to each step in the time shown. What came earlier may be delivered now.",
            )
        )
        .with_panel(
            lines(
                "Orders a minute, by status",
                {"{{status}}": "sum by (status) (rate(orderbus_orders_total[$__rate_interval])) * 60"},
                "short",
                "Orders that come to each status. Facts that come together skip the statuses between them.",
                stacked=True,
            )
        )
        .with_panel(
            lines(
                "From placed to each milestone, half of them",
                {"{{milestone}}": quantile(0.5, "orderbus_order_milestone_seconds", "milestone")},
                "s",
                "Half of the orders are sooner. The dots are single slow orders: each leads to its trace.",
                exemplars=True,
                links={"One order": "/d/orderbus-order"},
            )
        )
        .with_row(row("How they pay, and where they go"))
        .with_panel(
            lines(
                "Charges that succeed, by channel",
                {
                    "{{channel}}": 'sum by (channel) (increase(orderbus_payments_total{ending="captured"}[15m]))'
                    ' / sum by (channel) (increase(orderbus_payments_total{ending=~"captured|failed"}[15m]))'
                },
                "percentunit",
                "Over the last quarter of an hour. PaymentsFailing pages when more than half are refused.",
                good_from(0.9, 0.5),
            )
        )
        .with_panel(
            bars(
                "Orders by channel",
                {"{{channel}}": 'sum by (channel) (increase(orderbus_orders_total{status=~"placed|held"}[$__range]))'},
                "short",
                "In the time shown. `other` is any channel without a name here.",
                width=4,
            )
        )
        .with_panel(
            bars(
                "Orders by country",
                {"{{country}}": "topk(10, sum by (country) (increase(orderbus_orders_accepted_total[$__range])))"},
                "short",
                "Where they go, in the time shown; the ten most frequent.",
                width=4,
            )
        )
        .with_panel(
            lines(
                "Money taken an hour",
                {"{{currency}}": "sum by (currency) (rate(orderbus_captured_money_total[$__rate_interval])) * 3600"},
                "short",
                "At this moment's pace, in each currency's major unit.",
            )
        )
        .with_row(row("What stands in the way"))
        .with_panel(
            lines(
                "Stopped for a person, an hour",
                {"{{by}}": "sum by (by) (rate(orderbus_orders_intercepted_total[$__rate_interval])) * 3600"},
                "short",
                "Orders intercepted, by the service that stopped them.",
                stacked=True,
            )
        )
        .with_panel(
            lines(
                "Stock",
                {
                    "{{outcome}}": "sum by (outcome) (rate(orderbus_stock_decisions_total[$__rate_interval])) * 60",
                    "products that run low": "sum(rate(orderbus_stock_low_total[$__rate_interval])) * 60",
                },
                "short",
                "Orders a minute whose stock was set aside, deducted, given back, or was not there; products that run low.",
            )
        )
        .with_panel(
            lines(
                "Cancelled and refunded, an hour",
                {
                    "cancelled": 'sum(rate(orderbus_orders_total{status="cancelled"}[$__rate_interval])) * 3600',
                    "refunds {{state}}": "sum by (state) (rate(orderbus_refunds_total[$__rate_interval])) * 3600",
                },
                "short",
                "Orders called off, and refunds that went or were refused.",
            )
        )
        .with_panel(
            lines(
                "Parcels an hour, by carrier",
                {"{{carrier}} {{state}}": "sum by (carrier, state) (rate(orderbus_shipments_total[$__rate_interval])) * 3600"},
                "short",
                "Parcels that come to each state. `failed`: the carrier refused it, and a person is to look.",
                width=12,
            )
        )
        .with_panel(
            lines(
                "Charges for a person to look at, an hour",
                {"{{channel}}": "sum by (channel) (rate(orderbus_payment_reviews_total[$__rate_interval])) * 3600"},
                "short",
                "Stopped by screening, by the provider, or because nobody knows whether it has the money.",
                width=12,
            )
        )
    )
