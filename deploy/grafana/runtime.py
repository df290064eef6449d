"""Runtime: the processes, and the servers under them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.panels import bad_from, good_from, lines, number, page, quantile, row

OUR_DATABASE = 'datname!~"template.*|postgres"'


def dashboard() -> Dashboard:
    """As Grafana takes it."""
    return (
        page("orderbus-runtime", "Runtime", "Processes, Postgres, RabbitMQ and Redis.")
        .with_row(row("Processes"))
        .with_panel(
            number(
                "Processes that answer",
                'sum by (service) (up{job="orderbus"})',
                "short",
                "Of each service.",
                good_from(1, 1),
                width=8,
                legend="{{service}}",
            )
        )
        .with_panel(
            number(
                "Started",
                'time() - max by (service) (process_start_time_seconds{job="orderbus"})',
                "s",
                "Since the youngest process of each service began. ServiceRestarting pages when one begins again and again.",
                width=8,
                legend="{{service}}",
            )
        )
        .with_panel(
            number(
                "Servers",
                'up{job="rabbitmq"} or pg_up or redis_up',
                "short",
                "1 is up: RabbitMQ, Postgres, Redis, as their exporters see them.",
                good_from(1, 1),
                width=8,
                legend="{{job}}",
            )
        )
        .with_panel(
            lines(
                "CPU",
                {"{{service}} {{instance}}": 'rate(process_cpu_seconds_total{job="orderbus"}[$__rate_interval])'},
                "percentunit",
                "Of one core: a process has use for no more.",
                bad_from(0.95),
                width=6,
            )
        )
        .with_panel(
            lines(
                "Memory",
                {"{{service}} {{instance}}": 'process_resident_memory_bytes{job="orderbus"}'},
                "bytes",
                "Resident. Containers have 256 MB.",
                bad_from(256 * 1024 * 1024, 200 * 1024 * 1024),
                width=6,
            )
        )
        .with_panel(
            lines(
                "Event loop late by, 99 %",
                {"{{service}}": quantile(0.99, "orderbus_event_loop_lag_seconds", "service")},
                "s",
                "By how much a timer comes late; everything does.",
                bad_from(0.25, 0.1),
                width=6,
            )
        )
        .with_panel(
            lines(
                "Connections to Postgres",
                {"{{service}} {{state}}": "sum by (service, state) (orderbus_pool_connections)"},
                "short",
                "PostgresPoolExhausted fires when all of a process are in use for two minutes.",
                width=6,
            )
        )
        .with_panel(
            lines(
                "HTTP requests",
                {
                    "{{service}} {{status}}": "sum by (service, status) "
                    '(rate(orderbus_http_request_duration_seconds_count{route=~"/api/.*"}[$__rate_interval]))'
                },
                "reqps",
                "Calls of the API by status.",
                stacked=True,
                width=6,
            )
        )
        .with_panel(
            lines(
                "Time to answer, 99 %",
                {"{{route}}": quantile(0.99, "orderbus_http_request_duration_seconds", "route", 'route=~"/api/.*"')},
                "s",
                "By route. The objective is half a second.",
                bad_from(0.5, 0.25),
                width=6,
            )
        )
        .with_panel(
            lines(
                "Open files",
                {"{{service}} {{instance}}": 'process_open_fds{job="orderbus"}'},
                "short",
                "Connections are files too.",
                width=6,
            )
        )
        .with_panel(
            lines(
                "Rates not limited",
                {"{{service}}": "sum by (service) (rate(orderbus_rate_limit_failures_total[$__rate_interval]))"},
                "ops",
                "Times that Redis did not answer; requests are let through then.",
                bad_from(0.001),
                width=6,
            )
        )
        .with_row(row("Postgres"))
        .with_panel(
            lines(
                "Transactions",
                {
                    "committed": f"sum(rate(pg_stat_database_xact_commit{{{OUR_DATABASE}}}[$__rate_interval]))",
                    "rolled back": f"sum(rate(pg_stat_database_xact_rollback{{{OUR_DATABASE}}}[$__rate_interval]))",
                },
                "ops",
                "A batch is one.",
                width=6,
            )
        )
        .with_panel(
            lines(
                "Connections",
                {"{{state}}": "sum by (state) (pg_stat_activity_count)", "may be": "max(pg_settings_max_connections)"},
                "short",
                "Of everybody, by state.",
                width=6,
            )
        )
        .with_panel(
            lines(
                "Found in memory",
                {
                    "blocks": f"sum(rate(pg_stat_database_blks_hit{{{OUR_DATABASE}}}[$__rate_interval]))"
                    f" / (sum(rate(pg_stat_database_blks_hit{{{OUR_DATABASE}}}[$__rate_interval]))"
                    f" + sum(rate(pg_stat_database_blks_read{{{OUR_DATABASE}}}[$__rate_interval])))"
                },
                "percentunit",
                "What is not comes from the disk, or the system's cache.",
                good_from(0.99, 0.9),
                width=6,
            )
        )
        .with_panel(
            lines(
                "Deadlocks, and the longest transaction",
                {
                    "deadlocks a second": f"sum(rate(pg_stat_database_deadlocks{{{OUR_DATABASE}}}[$__rate_interval]))",
                    "longest, seconds": "max(pg_stat_activity_max_tx_duration)",
                },
                "short",
                "Locks are always taken in the same sequence: a deadlock is a defect. A transaction takes milliseconds.",
                bad_from(60),
                width=6,
            )
        )
        .with_panel(
            lines(
                "Size",
                {"{{datname}}": f"max by (datname) (pg_database_size_bytes{{{OUR_DATABASE}}})"},
                "bytes",
                "Of each database.",
                width=12,
                height=6,
            )
        )
        .with_panel(
            lines(
                "Rows written",
                {
                    "inserted": f"sum(rate(pg_stat_database_tup_inserted{{{OUR_DATABASE}}}[$__rate_interval]))",
                    "updated": f"sum(rate(pg_stat_database_tup_updated{{{OUR_DATABASE}}}[$__rate_interval]))",
                    "deleted": f"sum(rate(pg_stat_database_tup_deleted{{{OUR_DATABASE}}}[$__rate_interval]))",
                },
                "ops",
                "Of all tables.",
                width=12,
                height=6,
            )
        )
        .with_row(row("RabbitMQ"))
        .with_panel(
            lines(
                "Messages",
                {
                    "received": "sum(rate(rabbitmq_global_messages_received_total[$__rate_interval]))",
                    "delivered": "sum(rate(rabbitmq_global_messages_delivered_total[$__rate_interval]))",
                },
                "ops",
                "Each may hold many events, and goes to several queues.",
                width=6,
            )
        )
        .with_panel(
            lines(
                "Waiting",
                {"ready": "sum(rabbitmq_queue_messages_ready)", "in hand": "sum(rabbitmq_queue_messages_unacked)"},
                "short",
                "Messages of all queues, also other systems'.",
                bad_from(10_000),
                stacked=True,
                width=6,
            )
        )
        .with_panel(
            lines(
                "Memory",
                {
                    "used": "sum(rabbitmq_process_resident_memory_bytes)",
                    "alarm from": "sum(rabbitmq_resident_memory_limit_bytes)",
                },
                "bytes",
                "Above the limit the broker takes no messages: RabbitMQBlocksPublishers.",
                width=6,
            )
        )
        .with_panel(
            lines(
                "Disk left",
                {
                    "left": "min(rabbitmq_disk_space_available_bytes)",
                    "alarm below": "max(rabbitmq_disk_space_available_limit_bytes)",
                },
                "bytes",
                "Below the limit the broker takes no messages.",
                width=6,
            )
        )
        .with_row(row("Redis"))
        .with_panel(
            lines(
                "Commands",
                {"commands": "sum(rate(redis_commands_processed_total[$__rate_interval]))"},
                "ops",
                "A process takes a handful of requests at a time and asks once for all of them.",
            )
        )
        .with_panel(
            lines(
                "Memory",
                {"used": "sum(redis_memory_used_bytes)", "may be": "sum(redis_memory_max_bytes)"},
                "bytes",
                "What is least used is forgotten first.",
            )
        )
        .with_panel(
            lines("Clients", {"clients": "sum(redis_connected_clients)"}, "short", "One for each process, and the exporter.")
        )
    )
