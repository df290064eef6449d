"""What orders does every second costs no more with more orders."""

from services.orders import store
from shared.database import Database


async def test_looking_for_what_is_to_be_completed_reads_no_other_orders(database: Database) -> None:
    for _ in range(10):  # the connection has its plan from when there were none
        async with database.transaction() as tx:
            await store.claim_complete(tx, 500)
    await database.pool.execute("INSERT INTO orders (id) SELECT 'grown-' || n FROM generate_series(1, 2000) n")

    async with database.transaction() as tx:
        due = await store.claim_complete(tx, 500)
        read = await tx.fetchval("SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'orders'")

    assert (due, read) == ([], 0)
