"""Every order is in exactly the state that its facts imply."""

import asyncpg

from deploy.audit.report import Check
from services.orders.store import order_from


async def check(connection: asyncpg.Connection) -> Check:
    """Derive each order's status and sums anew, and compare."""
    checked, violations = 0, []
    rows = connection.cursor(
        "SELECT id, placed::text, placed_at, facts, status, captured, refunded, total FROM orders.orders", prefetch=1000
    )
    async for row in rows:
        order = order_from(row)
        checked += 1
        said = (row["status"], row["captured"], row["refunded"], row["total"])
        total = order.placed.total.amount if order.placed else None
        implied = (order.status.value if order.placed else None, order.captured, order.refunded, total)
        if said != implied:
            violations.append(f"order {order.id} says status, captured, refunded, total {said}; its facts imply {implied}")
    return Check("orders_are_what_their_facts_say", "every order is in the one state its facts imply", checked, violations)
