"""A transaction ends with its work: nothing that it touched is left for the garbage collector."""

import gc
from functools import partial
from weakref import ref

import asyncpg

from shared.database import Database, Tx
from tests.service.house import House


async def test_what_a_transaction_touched_is_given_back_as_soon_as_it_has_committed(house: House) -> None:
    counted = []

    def count(tx: Tx) -> None:
        counted.append(tx.now)

    async with asyncpg.create_pool(house.database_url, server_settings={"search_path": "orders"}) as pool:
        gc.disable()
        try:
            async with Database(pool, "orders").transaction() as tx:
                tx.once_committed(partial(count, tx))
            gone = ref(tx)
            del tx
            assert (len(counted), gone()) == (1, None)
        finally:
            gc.enable()
