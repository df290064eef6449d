"""What a service forgets, and what it must not."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from shared.retention import RING, UNDATED, forget
from shared.settings import Settings
from tests.service.house import House

KEPT = Settings.model_construct(inbox_days=30, idempotency_days=7)


@pytest.fixture
async def pool(house: House) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(
        house.database_url, min_size=1, max_size=1, server_settings={"search_path": "orders", "timezone": "UTC"}
    ) as pool:
        yield pool


async def heard(pool: asyncpg.Pool, day: date, slot: int | None = None) -> UUID:
    """An event that was heard on that day."""
    key: UUID = await pool.fetchval(
        "INSERT INTO inbox VALUES ($1, $2, $3) RETURNING key",
        uuid4(),
        day.toordinal() % RING if slot is None else slot,
        datetime(day.year, day.month, day.day, tzinfo=UTC),
    )
    return key


async def is_known(pool: asyncpg.Pool, key: UUID) -> bool:
    return bool(await pool.fetchval("SELECT TRUE FROM inbox WHERE key = $1", key))


async def test_what_was_heard_before_the_days_that_are_kept_is_forgotten(pool: asyncpg.Pool) -> None:
    today = datetime.now(UTC).date()
    old = [await heard(pool, today - timedelta(days=31)), await heard(pool, today - timedelta(days=37))]
    old.append(await heard(pool, today - timedelta(days=31), UNDATED))
    kept = [await heard(pool, today - timedelta(days=days)) for days in (-1, 0, 1, 29, 30)]
    kept.append(await heard(pool, today, UNDATED))

    await forget(pool, KEPT)

    assert [await is_known(pool, key) for key in old] == [False] * len(old)
    assert [await is_known(pool, key) for key in kept] == [True] * len(kept)


async def test_nobody_can_have_the_last_days_forgotten(pool: asyncpg.Pool) -> None:
    today = datetime.now(UTC).date()
    kept = [await heard(pool, today - timedelta(days=days)) for days in (-1, 0, 1)]

    await pool.fetchval("SELECT forget_inbox($1)", today + timedelta(days=10))

    assert all([await is_known(pool, key) for key in kept])


async def test_the_answer_to_a_repeated_request_is_kept_for_a_week(pool: asyncpg.Pool) -> None:
    now = datetime.now(UTC)
    owner = uuid4().hex
    for key, age in (("old", 9), ("new", 6)):
        await pool.execute(
            "INSERT INTO idempotency_key (owner, key, request_hash, created_at) VALUES ($1, $2, '', $3)",
            *(owner, key, now - timedelta(days=age)),
        )

    await forget(pool, KEPT)

    left = await pool.fetch("SELECT key FROM idempotency_key WHERE owner = $1", owner)
    assert [row["key"] for row in left] == ["new"]
