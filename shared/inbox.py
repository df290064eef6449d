"""Inbox: a list of events becomes one handler call in one transaction, and each event takes effect once.

What fails is retried while the fault is Postgres's; otherwise the batch is split, so that a poisonous event hurts only
itself, and the event that fails alone becomes a dead letter.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

import structlog

from shared import dead_letters, metrics, telemetry
from shared.database import Database, Tx, is_infrastructure
from shared.events import Envelope, Event
from shared.retention import OLDEST, UNDATED, also_in, slot_of
from shared.subscriptions import Handle

log = structlog.get_logger()

LONGEST_WAIT = 5.0
"""Seconds between tries while Postgres is away: it comes back to at most this delay."""

_in_hand: dict[object, tuple[float, int]] = {}
"""Since when, and how many: what `handle` was called with and has not returned from."""


def key_of(envelope: Envelope, alone_since: datetime) -> UUID:
    """What the inbox knows the event by. Of ours it is the id, once this release is alone: ids are in the sequence of time,
    hashes would be written all over an index of millions."""
    if envelope.is_ours and envelope.time >= alone_since:
        with suppress(ValueError):
            return UUID(envelope.id)
    return UUID(bytes=blake2b(envelope.identity, digest_size=16).digest())


async def handle(database: Database, handler: Handle[Any], events: Sequence[Event]) -> None:
    """Deal with the events for good: when this returns each has taken effect, had before, or is a dead letter."""
    mark = object()
    _in_hand[mark] = time.monotonic(), len(events)
    try:
        await _deal_with(database, handler, events)
    finally:
        del _in_hand[mark]


def in_hand_for(long: timedelta) -> int:
    """Events that this process has been dealing with for so long: it waits for Postgres, or for a lock."""
    before = time.monotonic() - long.total_seconds()
    return sum(events for since, events in _in_hand.values() if since < before)


async def _deal_with(database: Database, handler: Handle[Any], events: Sequence[Event]) -> None:
    tries = 0
    while True:
        try:
            await handle_once(database, handler, events)
            return
        except Exception as error:
            if is_infrastructure(error):
                tries += 1
                metrics.infrastructure_failures.labels("postgres").inc()
                log.warning("waiting for Postgres", type=events[0].type, error=repr(error), tries=tries)
                await asyncio.sleep(min(LONGEST_WAIT, 0.05 * 2**tries) * random.uniform(0.5, 1))
            elif len(events) == 1:
                await _bury(database, events[0], error)
                return
            else:
                half = len(events) // 2  # one poisonous event among hundreds costs a few transactions, not hundreds
                await _deal_with(database, handler, events[:half])
                await _deal_with(database, handler, events[half:])
                return


async def handle_once(database: Database, handler: Handle[Any], events: Sequence[Event]) -> None:
    """One transaction: the inbox rows, the handler's writes, the outbox rows. Raises what the handler raises."""
    with telemetry.handling(events):
        async with database.transaction() as tx:
            fresh = await _not_heard_before(tx, events)
            if fresh:
                tx.hear(fresh)
                await handler(fresh, tx)
        _count(events, fresh)


def _count(events: Sequence[Event], fresh: Sequence[Event]) -> None:
    came, new = Counter(event.type for event in events), Counter(event.type for event in fresh)
    for event_type, count in came.items():
        metrics.events_handled.labels(event_type, "handled").inc(new[event_type])
        metrics.events_handled.labels(event_type, "duplicate").inc(count - new[event_type])
        metrics.batch_events.labels(event_type).observe(new[event_type])
    oldest: dict[str, Envelope] = {}
    for envelope in (event.envelope for event in fresh):
        if envelope.is_ours and (envelope.type not in oldest or envelope.time < oldest[envelope.type].time):
            oldest[envelope.type] = envelope
    now = telemetry.now()
    for event_type, envelope in oldest.items():
        age = max(0.0, (now - envelope.time).total_seconds())
        metrics.observe(metrics.event_age.labels(event_type), [(age, telemetry.recorded_trace_id(envelope))])


_HEAR = """
    INSERT INTO inbox (key, slot) SELECT key, slot FROM unnest($1::uuid[], $2::smallint[]) said (key, slot)
    ON CONFLICT DO NOTHING RETURNING key
"""

_HEAR_UNLESS_UNDATED = """
    INSERT INTO inbox (key, slot) SELECT key, slot FROM unnest($1::uuid[], $2::smallint[]) said (key, slot)
     WHERE NOT EXISTS (SELECT FROM inbox_undated WHERE inbox_undated.key = said.key)
    ON CONFLICT DO NOTHING RETURNING key
"""


async def _not_heard_before(tx: Tx, events: Sequence[Event]) -> list[Event]:
    by_key = {key_of(event.envelope, tx.alone_since): event for event in events}
    # what is kept by its day is forgotten with it: an event that comes late must have long enough to come again
    oldest = timedelta(days=tx.inbox_days) / 2 if tx.now >= tx.alone_since else OLDEST
    slots = {key: slot_of(event.envelope, tx.now, oldest) for key, event in by_key.items()}
    also = {key: also_in(by_key[key].envelope, slot, tx.now) for key, slot in slots.items()}
    if days := {key: slot for key, slot in also.items() if slot not in (None, UNDATED)}:  # seldom: what is that old
        known = await tx.fetch(
            "SELECT key FROM inbox WHERE key = any($1::uuid[]) AND slot = any($2::smallint[])",
            list(days),
            list(set(days.values())),
        )
        for row in known:
            by_key.pop(row["key"], None)
    # in the order of the keys: two replicas with the same events wait for each other instead of deadlocking
    keys = sorted(by_key)
    rows = await tx.fetch(
        _HEAR_UNLESS_UNDATED if UNDATED in also.values() else _HEAR,
        keys,
        [slots[key] for key in keys],
    )
    return list(by_key.values()) if len(rows) == len(by_key) else [by_key[row["key"]] for row in rows]


async def _bury(database: Database, event: Event, error: Exception) -> None:
    metrics.events_handled.labels(event.type, "failed").inc()
    told = {"type": event.type, "event_id": event.envelope.id, "subject": event.subject, "error": repr(error)}
    log.error("event failed", **told, **telemetry.about(event))
    await until_stored(database, [dead_letters.of_failure(event, error)])


async def until_stored(
    database: Database, letters: Sequence[dead_letters.Letter], unless_handled: Sequence[dead_letters.Letter] = ()
) -> Sequence[dead_letters.Letter]:
    """Keep these dead letters, however long Postgres is away: their messages are acknowledged only after. Letters in
    `unless_handled` are kept only if their event has not taken effect; returns those that were kept of them."""
    while True:
        try:
            async with database.transaction() as tx:
                not_handled = await _not_handled(tx, unless_handled) if unless_handled else []
                await dead_letters.store(tx, [*letters, *not_handled])
            return not_handled
        except Exception as error:
            if not is_infrastructure(error):
                raise
            await asyncio.sleep(LONGEST_WAIT * random.uniform(0.1, 0.5))


async def _not_handled(tx: Tx, letters: Sequence[dead_letters.Letter]) -> list[dead_letters.Letter]:
    keys = [letter.envelope and key_of(letter.envelope, tx.alone_since) for letter in letters]
    rows = await tx.fetch("SELECT key FROM inbox WHERE key = any($1::uuid[])", [key for key in keys if key])
    handled = {row["key"] for row in rows}
    return [letter for letter, key in zip(letters, keys, strict=True) if key not in handled]
