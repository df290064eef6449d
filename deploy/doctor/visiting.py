"""The doctor's round: reads every order that is not long at rest, on one snapshot, and says again what was not heard."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from deploy.doctor.case import Ask, Case, Finding, Letter, Whose
from deploy.doctor.diagnosis import diagnose
from deploy.doctor.unheard import nothing_known, said_at, unheard
from deploy.services import SERVICES
from services.inventory.store import reservation_of
from services.logistics.store import shipment_of
from services.orders.store import order_from
from services.payments.store import payment_of, refund_of
from shared import outgoing
from shared.database import speak_json

AT_ONCE = 500

LEFT_BEHIND = timedelta(minutes=1)
"""An event that is older than this and still not published waits for somebody."""


async def visit(superuser_url: str, days: int = 30, *, heal: bool = False) -> list[Finding]:
    """What is past its time, of orders placed within so many days and of those still open. `heal`: say again what was not
    heard, in the same transaction that found it. Raises asyncpg's errors when it cannot."""
    connection = await asyncpg.connect(superuser_url, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=not heal):
            return await examine(connection, days, heal=heal)
    finally:
        await connection.close()


async def examine(connection: asyncpg.Connection, days: int = 30, *, heal: bool = False) -> list[Finding]:
    """`visit`, in the transaction that is open."""
    await speak_json(connection)
    now = datetime.now(UTC)
    findings = await _of_services(connection, now)
    for ids in await _ids(connection, now - timedelta(days=days)):
        for case in await _cases(connection, ids):
            found = diagnose(case, now)
            if heal and any(finding.whose is Whose.DOCTOR for finding in found):
                found = await _say_again(connection, case, found, now)
            findings += found
    return findings


async def _ids(connection: asyncpg.Connection, since: datetime) -> list[list[str]]:
    rows = await connection.fetch(
        """
        SELECT id FROM orders.orders
         WHERE placed_at >= $1 OR status IN ('placed', 'held', 'paid', 'shipped', 'delivered') ORDER BY placed_at, id
        """,
        since,
    )
    ids = [row["id"] for row in rows]
    return [ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE)]


async def _cases(connection: asyncpg.Connection, ids: Sequence[str]) -> list[Case]:
    orders = await connection.fetch(
        """
        SELECT id, placed::text, placed_at, facts, complete_at,
               coalesce((SELECT max(at) FROM orders.timeline WHERE order_id = id), placed_at) AS last
          FROM orders.orders WHERE id = any($1) ORDER BY placed_at, id
        """,
        ids,
    )
    reservations = await _by_order(connection, "SELECT * FROM inventory.reservation WHERE order_id = any($1)", ids)
    payments = await _by_order(connection, "SELECT * FROM payments.payment WHERE order_id = any($1)", ids)
    refunds = await _by_order(connection, "SELECT * FROM payments.refund WHERE order_id = any($1)", ids)
    shipments = await _by_order(connection, "SELECT * FROM logistics.shipment WHERE order_id = any($1)", ids)
    errands = await _by_order(
        connection,
        """
        SELECT errand.*, order_id FROM logistics.errand JOIN logistics.shipment USING (shipment_id)
         WHERE order_id = any($1) AND next_attempt_at IS NOT NULL
        """,
        ids,
    )
    letters = await _letters(connection, ids)
    cases = []
    for row in orders:
        id = row["id"]
        reservation, payment, shipment = nothing_known(id)
        cases.append(
            Case(
                order=order_from(row),
                last=row["last"],
                reservation=next(map(reservation_of, reservations[id]), reservation),
                payment=next(map(payment_of, payments[id]), payment),
                shipment=next(map(shipment_of, shipments[id]), shipment),
                refunds=tuple(map(refund_of, refunds[id])),
                asks=tuple(_asks(row["last"], payments[id], refunds[id], errands[id])),
                letters=letters[id],
                complete_at=row["complete_at"],
            )
        )
    return cases


def _asks(last: datetime, payments: Iterable[Any], refunds: Iterable[Any], errands: Iterable[Any]) -> Iterator[Ask]:
    for row in payments:
        if row["due_at"]:
            yield Ask("payments", row["errand"], row["attempts"], row["due_at"], row["attempted_at"] or last)
    for row in refunds:
        if row["due_at"]:
            yield Ask("payments", f"refund {row['id']}", row["attempts"], row["due_at"], row["created_at"])
    for row in errands:
        yield Ask("logistics", row["kind"], row["attempts"], row["next_attempt_at"], row["created_at"])


async def _by_order(connection: asyncpg.Connection, query: str, ids: Sequence[str]) -> defaultdict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in await connection.fetch(query, ids):
        found[row["order_id"]].append(row)
    return found


async def _letters(connection: asyncpg.Connection, ids: Sequence[str]) -> defaultdict[str, tuple[Letter, ...]]:
    found: defaultdict[str, tuple[Letter, ...]] = defaultdict(tuple)
    for service in SERVICES:
        for row in await connection.fetch(
            f"""
            SELECT id::text, subject, coalesce(event_type, 'something') AS type, reason, state FROM {service}.dead_letter
             WHERE subject = any($1) AND state IN ('retrying', 'dead')
            """,
            ids,
        ):
            letter = Letter(service, row["id"], row["type"], row["reason"], row["state"] == "dead")
            found[row["subject"]] += (letter,)
    return found


async def _of_services(connection: asyncpg.Connection, now: datetime) -> list[Finding]:
    """What is stuck without an order's name on it."""
    findings = []
    for service in SERVICES:
        count, oldest = await connection.fetchrow(f"SELECT count(*), min(created_at) FROM {service}.outbox") or (0, None)
        if oldest and now - oldest > LEFT_BEHIND:
            found = f"{service} has {count} events that are not published"
            findings.append(
                Finding(None, Whose.PERSON, oldest, found, "see whether RabbitMQ and the service run: ./orderbus status")
            )
        count, oldest = await connection.fetchrow(
            f"SELECT count(*), min(first_failed_at) FROM {service}.dead_letter WHERE state = 'dead' AND subject IS NULL"
        ) or (0, None)
        if oldest:
            found = f"{service} has {count} dead letters that name no order"
            findings.append(Finding(None, Whose.PERSON, oldest, found, f"./orderbus dead-letters list --service {service}"))
    return findings


async def _say_again(connection: asyncpg.Connection, case: Case, found: Iterable[Finding], now: datetime) -> list[Finding]:
    """Put the words into their speakers' outboxes, from where the sweeper publishes them."""
    for service, event in unheard(case):
        await connection.execute(f"SET LOCAL search_path = {service}")
        await outgoing.write(connection, [outgoing.envelop(event, service, said_at(case, event) or now, None)])
    return [replace(each, done="is said again") if each.whose is Whose.DOCTOR else each for each in found]
