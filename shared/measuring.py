"""What a service measures of itself: all the time, how late its event loop is; every few seconds, what waits to be said,
what could not be handled, what is stuck."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from shared import inbox, metrics
from shared.database import Pool, Reader
from shared.dead_letters import LEASE, RETRY_AFTER
from shared.intents import Job
from shared.timers import Duty

STUCK_AFTER = timedelta(minutes=1)
"""Everything takes milliseconds or says when it is tried next: what is a minute late needs a person's look."""

PULSE = 0.1
"""Seconds between two looks at how late the event loop is."""

Measure = Callable[[Reader, timedelta], Awaitable[None]]
"""Brings a service's own gauges up to date; what is later than the interval counts as overdue."""


async def feel_lag() -> None:
    """For as long as the process lives: what makes a timer late makes everything late."""
    while True:
        due = time.monotonic() + PULSE
        await asyncio.sleep(PULSE)
        metrics.loop_lag.observe(max(0.0, time.monotonic() - due))


def feel_what_is_in_hand(pool: Pool) -> None:
    """Bring up to date what the process knows by itself: it is most wanted while Postgres does not answer."""
    metrics.stuck_events.labels("handling").set(inbox.in_hand_for(STUCK_AFTER))
    metrics.pool_limit.set(pool.get_max_size())
    metrics.pool_connections.labels("idle").set(pool.get_idle_size())
    metrics.pool_connections.labels("busy").set(pool.get_size() - pool.get_idle_size())


async def measure(pool: Pool, works: Sequence[Job[Any, Any] | Duty], own: Measure | None) -> None:
    """Bring the gauges up to date that are read from Postgres. Raises what Postgres says to it."""
    async with pool.acquire() as connection:
        await _measure_bus(connection)
        for work in works:
            if work.overdue is not None:
                metrics.stuck_events.labels(work.name).set(await work.overdue(connection, STUCK_AFTER))
        if own is not None:
            await own(connection, STUCK_AFTER)
    metrics.measured_at.set_to_current_time()


async def _measure_bus(reader: Reader) -> None:
    """What every service has: an outbox and dead letters."""
    outbox = await reader.fetchrow(
        """
        SELECT count(*) AS rows, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float AS oldest,
               count(*) FILTER (WHERE created_at < now() - $1::interval) AS stuck
          FROM outbox
        """,
        STUCK_AFTER,
    )
    letters = await reader.fetchrow(
        """
        SELECT count(*) FILTER (WHERE state = 'retrying') AS retrying, count(*) FILTER (WHERE state = 'dead') AS dead,
               coalesce(extract(epoch FROM now() - min(first_failed_at)), 0)::float AS oldest,
               count(*) FILTER (WHERE state = 'retrying' AND (next_attempt_at < now() - $1::interval
                                                              OR last_failed_at < now() - $2::interval)) AS stuck
          FROM dead_letter WHERE state IN ('retrying', 'dead')
        """,
        STUCK_AFTER,
        # the longest that a letter may wait for its next try, and for who began it and died
        RETRY_AFTER[-1] + LEASE + STUCK_AFTER,
    )
    assert outbox is not None
    assert letters is not None
    metrics.outbox_rows.set(outbox["rows"])
    metrics.outbox_oldest_seconds.set(outbox["oldest"])
    metrics.stuck_events.labels("outbox").set(outbox["stuck"])
    for state in ("retrying", "dead"):
        metrics.dead_letters.labels(state).set(letters[state])
    metrics.dead_letters_oldest_seconds.set(letters["oldest"])
    metrics.stuck_events.labels("dead_letters").set(letters["stuck"])
