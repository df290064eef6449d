"""An audit that cannot fail is a defect: each invariant is broken by hand and seen."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from deploy.audit.invariants import INVARIANTS
from deploy.audit.running import examine
from shared.events.payments import PaymentRefunded
from tests.journeys.shop import Shop

ORDER = "(SELECT id FROM orders.orders WHERE status = 'shipped' AND facts->'parcel' IS NOT NULL ORDER BY id LIMIT 1)"

# the latest, which is this test's own: of another's more than one refund may be known
CANCELLED = "(SELECT id FROM orders.orders WHERE status = 'cancelled' AND captured > 0 ORDER BY placed_at DESC LIMIT 1)"
WAITING = "(SELECT min(id) FROM orders.orders WHERE status = 'placed')"

BREAKS = {
    "orders_are_what_their_facts_say": f"UPDATE orders.orders SET status = 'completed' WHERE id = {ORDER}",
    "paid_orders_ship": f"DELETE FROM logistics.shipment WHERE order_id = {ORDER}",
    "shipments_have_orders": f"UPDATE logistics.shipment SET waybill = 'ANOTHER' WHERE order_id = {ORDER}",
    "tracking_is_pushed_once": f"DELETE FROM orders.timeline WHERE type = 'tracking.pushed' AND order_id = {ORDER}",
    "shelves_equal_movements": """
        UPDATE inventory.shelf SET on_hand = on_hand + 1 WHERE sku = (SELECT min(sku) FROM inventory.shelf)
    """,
    "reserved_equals_reservations": """
        UPDATE inventory.shelf SET reserved = reserved + 1
         WHERE sku = (SELECT min(sku) FROM inventory.shelf WHERE on_hand > reserved)
    """,
    "orders_hold_the_stock_they_should": f"DELETE FROM inventory.reservation WHERE order_id = {ORDER}",
    "captured_equals_ledger": f"UPDATE payments.ledger_entry SET amount = amount - 1 WHERE order_id = {ORDER}",
    "refunded_equals_ledger": f"""
        INSERT INTO payments.ledger_entry (kind, payment_id, order_id, refund_id, amount, currency, channel, reference, at)
        SELECT 'refunded', id, order_id, 'nobody asked', 1, currency, channel, 'x', now() - interval '1 hour'
          FROM payments.payment WHERE order_id = {ORDER}
    """,
    "cancelled_orders_keep_no_money": f"DELETE FROM payments.refund WHERE order_id = {CANCELLED}",
    "nothing_is_stuck": f"DELETE FROM payments.payment WHERE order_id = {WAITING}",
    "partners_are_asked_in_time": f"""
        UPDATE logistics.errand SET next_attempt_at = now() - interval '1 hour'
         WHERE kind = 'notify' AND shipment_id = (SELECT shipment_id FROM logistics.shipment WHERE order_id = {ORDER})
    """,
    "outbox_is_published": """
        INSERT INTO payments.outbox VALUES (gen_random_uuid(), 'payment.failed', '', now() - interval '1 hour')
    """,
    "dead_letters_are_accounted_for": """
        INSERT INTO logistics.dead_letter (id, body, reason, attempts, state, next_attempt_at)
        VALUES (gen_random_uuid(), '', 'x', 1, 'retrying', now() - interval '1 hour')
    """,
}

PAID = """
    WITH paid AS (
        UPDATE orders.orders SET status = 'paid', facts = facts - '{{parcel,pushed_at,in_transit_at,delivered_at}}'::text[]
         WHERE id = {order} RETURNING id
    )
    UPDATE logistics.shipment SET state = '{state}', deducted_at = {deducted_at}, waybill = NULL, tracking_url = NULL,
           booked_at = NULL, told_at = NULL, told_by = NULL, in_transit_at = NULL, delivered_at = NULL
      FROM paid WHERE order_id = id
"""

MORE_BREAKS = [
    ("paid_orders_ship", PAID.format(order=ORDER, state="awaited", deducted_at="NULL")),
    ("paid_orders_ship", PAID.format(order=ORDER, state="booking", deducted_at="now()")),
    ("shipments_have_orders", f"UPDATE logistics.shipment SET order_id = 'another' WHERE order_id = {ORDER}"),
    (
        "shipments_have_orders",
        f"""
        UPDATE orders.orders SET status = 'cancelled', facts = facts || '{{"stock_rejected": "out_of_stock"}}' WHERE id = {ORDER}
        """,
    ),
    (
        "tracking_is_pushed_once",
        f"""
        INSERT INTO orders.timeline (order_id, at, event_id, type, source, note)
        SELECT order_id, at, 'another', type, source, note FROM orders.timeline
         WHERE type = 'tracking.pushed' AND order_id = {ORDER}
        """,
    ),
    (
        "shelves_equal_movements",
        f"""
        UPDATE inventory.movement SET order_id = 'another'
         WHERE id = (SELECT min(id) FROM inventory.movement WHERE order_id = {ORDER})
        """,
    ),
    (
        "orders_hold_the_stock_they_should",
        f"""
        UPDATE inventory.reservation SET state = 'reserved', allocations = '[{{"sku": "A", "location": "main", "quantity": 1}}]'
         WHERE order_id = {CANCELLED}
        """,
    ),
    (
        "orders_hold_the_stock_they_should",
        f"""
        UPDATE logistics.shipment SET refused = NULL, waybill = 'W1', booked_at = now(), in_transit_at = now(),
               withdrawn_at = NULL
         WHERE order_id = {CANCELLED}
        """,
    ),
    (
        "refunded_equals_ledger",
        f"UPDATE payments.ledger_entry SET amount = amount - 1 WHERE kind = 'captured' AND order_id = {CANCELLED}",
    ),
    (
        "refunded_equals_ledger",
        f"""
        UPDATE orders.orders SET facts = facts || '{{"refunds": {{"R-1": {{"amount": 1, "reason": "scratched"}}}}}}'
         WHERE id = {ORDER}
        """,
    ),
    (
        "refunded_equals_ledger",
        f"""
        INSERT INTO payments.ledger_return
        SELECT order_id, refund_id, now() FROM payments.ledger_entry WHERE kind = 'refunded' AND order_id = {CANCELLED}
        """,
    ),
    (
        "cancelled_orders_keep_no_money",
        f"""
        UPDATE payments.payment SET ending = NULL, ended_at = NULL, state = 'held', reference = NULL, refunding = 0
         WHERE order_id = {CANCELLED}
        """,
    ),
    *(
        (
            "nothing_is_stuck",
            f"""
            UPDATE payments.payment SET state = '{state}', errand = NULL, due_at = NULL WHERE order_id = {WAITING}
            """,
        )
        for state in ("review", "held", "doubt")
    ),
    (
        "partners_are_asked_in_time",
        f"UPDATE payments.payment SET due_at = now() - interval '1 hour' WHERE order_id = {WAITING}",
    ),
    (
        "partners_are_asked_in_time",
        f"""
        UPDATE payments.refund SET state = 'due', reference = NULL, due_at = now() - interval '1 hour'
         WHERE order_id = {CANCELLED}
        """,
    ),
    (
        "dead_letters_are_accounted_for",
        """
        INSERT INTO logistics.dead_letter (id, body, reason, attempts, state) VALUES (gen_random_uuid(), '', '', 1, 'dead')
        """,
    ),
]
"""What else an invariant promises: each of its queries sees something that no other does."""


NOWHERE = {"country": "DE", "city": "Berlin", "line1": "Torstr. 1", "postcode": "00422", "phone": "+4930123456"}
"""The carrier refuses this address: the order is paid and held."""


async def some_orders(shop: Shop, sku: str) -> None:
    """One shipped, one cancelled after it was paid, one that waits for its shopper."""
    await shop.sell(sku, stock=10)
    shipped = await shop.order(sku)
    await shop.pushed(shipped)
    await shop.until(shipped, "shipped")
    cancelled = await shop.order(sku, channel="card", token="tok_ok", ship_to=NOWHERE)
    await shop.until(cancelled, "held")
    waiting = await shop.order(sku, channel="redirect", token="tok_manual")
    while not (await shop.ask(waiting))["payment_url"]:
        await asyncio.sleep(0.02)
    await shop.tell(cancelled, "cancel")
    await shop.bus.expect(PaymentRefunded, order_id=cancelled)
    while not (await shop.ask(cancelled))["refunded"]["amount"]:
        await asyncio.sleep(0.02)


def test_every_invariant_is_broken_here() -> None:
    assert BREAKS.keys() == {"orders_are_what_their_facts_say", *(invariant.name for invariant in INVARIANTS)}


@pytest.mark.parametrize(("name", "how"), [*BREAKS.items(), *MORE_BREAKS])
async def test_the_audit_sees_it_when_broken_by_hand(shop: Shop, sku: str, name: str, how: str) -> None:
    await some_orders(shop, sku)
    connection = await asyncpg.connect(shop.addresses["postgres"]["superuser_url"])
    transaction = connection.transaction()
    await transaction.start()
    try:
        # who is spoken of meanwhile would not be judged: another service may still have a word to say
        await connection.execute("LOCK TABLE orders.timeline IN SHARE ROW EXCLUSIVE MODE")
        # what no service could do: constraints and triggers are set aside
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("UPDATE orders.timeline SET at = at - interval '1 hour'")
        await connection.execute("UPDATE payments.ledger_entry SET at = at - interval '1 hour'")
        before = datetime.now(UTC) - timedelta(minutes=1)
        healthy = await examine(connection, before)

        changed = await connection.execute(how)
        broken = await examine(connection, before)
    finally:
        await transaction.rollback()
        await connection.close()

    assert healthy.ok, [check.violations for check in healthy.checks if not check.ok]
    assert changed.split()[-1] == "1", changed
    assert name in [check.name for check in broken.checks if not check.ok]
