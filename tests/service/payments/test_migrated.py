"""A migration that comes while the service works: a statement that was prepared before is prepared anew."""

import asyncpg

from shared.events.payments import PaymentCaptured, PaymentRefunded
from tests.service.house import Bus, House
from tests.service.payments.customer import a_refund_request, order


async def test_a_column_that_is_added_meanwhile_makes_no_dead_letter(house: House, bus: Bus, order_id: str) -> None:
    await charge_and_refund(bus, f"{order_id}-before")
    connection = await asyncpg.connect(house.database_url)
    try:
        for table in ("payment", "refund"):
            await connection.execute(f"ALTER TABLE payments.{table} ADD COLUMN more text")

        await charge_and_refund(bus, f"{order_id}-after")

        assert await connection.fetch("SELECT event_type, reason FROM payments.dead_letter") == []
    finally:
        await connection.close()


async def charge_and_refund(bus: Bus, order_id: str) -> None:
    """Every statement that reads whole rows."""
    await order(bus, order_id, "card", "tok_ok")
    await bus.expect(PaymentCaptured, order_id=order_id)
    await bus.publish(a_refund_request(order_id))
    await bus.expect(PaymentRefunded, order_id=order_id)
