"""Work ends with what it made: nothing of a transaction or a request is left for the garbage collector, whose pauses others
would wait for."""

import gc
from collections.abc import Iterator
from functools import partial
from weakref import ref

import asyncpg
import pytest

from shared import telemetry
from shared.database import Database, Tx
from tests.service.house import Client, House


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
async def test_what_a_transaction_touched_is_given_back_as_soon_as_it_has_committed(house: House) -> None:
    counted = []

    def count(tx: Tx) -> None:
        counted.append(tx.now)

    async with asyncpg.create_pool(house.database_url, server_settings={"search_path": "orders"}) as pool:
        async with Database(pool, "orders").transaction() as tx:
            tx.once_committed(partial(count, tx))
        gone = ref(tx)
        del tx
        assert (len(counted), gone()) == (1, None)


@pytest.mark.usefixtures("without_collector")
async def test_what_a_request_brought_is_given_back_as_soon_as_it_is_answered(orders: Client) -> None:
    for _ in range(10):
        await orders.get("/api/orders/none-such")

    left = [each for each in gc.get_objects() if isinstance(each, telemetry.Request)]
    assert len(left) <= 1  # a connection holds its last request
