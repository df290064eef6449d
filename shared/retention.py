"""How long a service remembers what it has heard and answered. After that a repeat is taken for something new."""

from datetime import datetime, timedelta

import structlog

from shared.database import Pool
from shared.events import Envelope
from shared.settings import Settings

log = structlog.get_logger()

RING = 40
"""Slots of the inbox, one a day; shared/migrations/0004_inbox_by_day.sql makes them."""

UNDATED = -1
"""The slot of an event whose time is too far from now for the ring."""

OLDEST, NEWEST = timedelta(days=RING - 3), timedelta(days=1)

AT_ONCE = 5_000
"""Keys forgotten in one statement: locks are short."""


def slot_of(envelope: Envelope, now: datetime, oldest: timedelta = OLDEST) -> int:
    """Where the inbox keeps an event. One whose day is `oldest` days back would soon be forgotten with it."""
    is_believed = envelope.is_dated and now - oldest <= envelope.time <= now + NEWEST
    return _day_of(envelope) if is_believed else UNDATED


def also_in(envelope: Envelope, slot: int, now: datetime) -> int | None:
    """Where, beside its slot, it may have been kept when it came before: its time was younger then, or further ahead. Our own is
    never ahead: it says Postgres's."""
    if slot != UNDATED:
        return None if envelope.is_ours else UNDATED
    return _day_of(envelope) if slot_of(envelope, now) != UNDATED else None


def _day_of(envelope: Envelope) -> int:
    return envelope.time.toordinal() % RING


async def forget(pool: Pool, settings: Settings) -> int:
    """Drop what is older than the settings say, by Postgres's clock: a process whose own is ahead must not have everything
    forgotten. Not 0 while there may be more."""
    emptied = await pool.fetchval("SELECT forget_inbox((now() AT TIME ZONE 'UTC')::date - $1::integer)", settings.inbox_days)
    dropped = await pool.fetch(
        """
        DELETE FROM idempotency_key WHERE (owner, key) IN (
            SELECT owner, key FROM idempotency_key WHERE created_at < now() - $1::interval LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING 1
        """,
        timedelta(days=settings.idempotency_days),
        AT_ONCE,
    )
    if emptied or dropped:
        log.info("forgotten", inbox_days=emptied, idempotency_keys=len(dropped))
    return len(dropped)
