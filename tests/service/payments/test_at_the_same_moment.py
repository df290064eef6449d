"""Two replicas that hear of an order for the first time at the same moment."""

import asyncio

from services.payments import progress
from services.payments.facts import Placed, Reserved
from services.payments.refunds import Refund
from shared.database import Database
from shared.events import Event
from shared.events.payments import PaymentCaptured
from shared.money import Money
from tests.service.moments import until_one_waits

TOTAL = Money(amount=29900, currency="CNY")


async def test_the_second_adds_to_what_the_first_has_learned(database: Database, order_id: str) -> None:
    async def hear_later() -> list[Event]:
        async with database.transaction() as tx:
            await progress.learn(tx, [(order_id, Reserved()), (f"{order_id}-other", Reserved())])
            return [out.event for out in tx.outgoing]

    async with database.transaction() as tx:
        await progress.learn(tx, [(order_id, Placed(TOTAL, "invoice"))])
        later = asyncio.create_task(hear_later())
        await until_one_waits(database)

    said = await later
    assert [(type(event), event.subject) for event in said] == [(PaymentCaptured, order_id)]
    kept = await database.pool.fetch("SELECT state FROM payment WHERE order_id LIKE $1 || '%' ORDER BY order_id", order_id)
    assert [row["state"] for row in kept] == ["captured", "waiting"]


async def test_a_refund_is_kept_of_an_order_that_somebody_else_hears_of_at_this_moment(database: Database, order_id: str) -> None:
    async def hear_later() -> None:
        async with database.transaction() as tx:
            await progress.learn_refunds(tx, [Refund(id="r", order_id=order_id, amount=TOTAL, reason="late")])

    async with database.transaction() as tx:
        await progress.learn(tx, [(order_id, Placed(TOTAL, "invoice"))])
        later = asyncio.create_task(hear_later())
        await until_one_waits(database)
    await later

    kept = await database.pool.fetch("SELECT amount, state FROM refund WHERE order_id = $1", order_id)
    assert [tuple(row) for row in kept] == [(TOTAL.amount, "waiting")]
