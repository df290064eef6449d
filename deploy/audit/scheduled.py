"""The audit on a schedule, as metrics that Prometheus scrapes."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import asyncpg
from prometheus_client import CollectorRegistry, Gauge

from deploy.audit.report import Report
from deploy.audit.running import SETTLE, audit


class Gauges:
    """What the last audit found. Before the first there are no violations, not even none, and it was finished in 1970."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._violations = Gauge(
            "orderbus_audit_violations", "Offenders that the last audit found.", ["invariant"], registry=self.registry
        )
        self._finished = Gauge(
            "orderbus_audit_last_success_timestamp_seconds",
            "When the last audit was finished, whatever it found. One that cannot be finished changes nothing here.",
            registry=self.registry,
        )
        self._took = Gauge("orderbus_audit_duration_seconds", "How long the last audit took.", registry=self.registry)

    def show(self, report: Report, seconds: float) -> None:
        """The audit that has just been finished."""
        for check in report.checks:
            self._violations.labels(check.name).set(len(check.violations))
        self._took.set(seconds)
        self._finished.set_to_current_time()


async def keep_auditing(
    superuser_url: str, every: timedelta, gauges: Gauges, say: Callable[[str], None], settle: timedelta = SETTLE
) -> None:
    """For as long as the process lives. An audit that cannot be done is said, and tried again when it is time."""
    while True:
        begun = time.monotonic()
        try:
            report = await audit(superuser_url, settle)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            say(f"the audit could not be done: {error!r}")
        else:
            gauges.show(report, time.monotonic() - begun)
            broken = [f"{check.name} ({len(check.violations)})" for check in report.checks if not check.ok]
            say(f"it does not add up: {', '.join(broken)}" if broken else "everything adds up")
        await asyncio.sleep(max(0.0, every.total_seconds() - (time.monotonic() - begun)))
