"""What a service measures of itself every few seconds: what waits to be said, what could not be handled, what is stuck."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from shared import inbox, metrics
from shared.database import Pool
from shared.dead_letters import LEASE, RETRY_AFTER
from shared.intents import Job

STUCK_AFTER = timedelta(minutes=1)
"""Everything takes milliseconds or says when it is tried next: what is a minute late needs a person's look."""


async def measure(pool: Pool, jobs: Sequence[Job[Any, Any]]) -> None:
    """Bring the gauges up to date. What is in hand is known even when Postgres does not answer."""
    metrics.stuck_events.labels("handling").set(inbox.in_hand_for(STUCK_AFTER))
    metrics.outbox_rows.set(await pool.fetchval("SELECT count(*) FROM outbox"))
    metrics.outbox_oldest_seconds.set(
        await pool.fetchval("SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float FROM outbox")
    )
    for state in ("retrying", "dead"):
        count = await pool.fetchval("SELECT count(*) FROM dead_letter WHERE state = $1", state)
        metrics.dead_letters.labels(state).set(count)
    metrics.stuck_events.labels("outbox").set(
        await pool.fetchval("SELECT count(*) FROM outbox WHERE created_at < now() - $1::interval", STUCK_AFTER)
    )
    metrics.stuck_events.labels("dead_letters").set(
        await pool.fetchval(
            """
            SELECT count(*) FROM dead_letter
             WHERE state = 'retrying' AND (next_attempt_at < now() - $1::interval OR last_failed_at < now() - $2::interval)
            """,
            STUCK_AFTER,
            # the longest that a letter may wait for its next try, and for who began it and died
            RETRY_AFTER[-1] + LEASE + STUCK_AFTER,
        )
    )
    for job in jobs:
        if job.overdue is not None:
            async with pool.acquire() as connection:
                metrics.stuck_events.labels(job.name).set(await job.overdue(connection, STUCK_AFTER))
