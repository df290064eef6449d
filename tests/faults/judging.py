"""The suite's ledger against everybody else's books: what was acknowledged must have ended, once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from deploy.stack.credentials import SERVICES
from tests.faults.purchases import BURIED, Purchase
from tests.faults.witness import Witness

_FOUND = """
    SELECT o.id, o.status, o.captured, o.refunded, p.ending, p.errand AS asking, s.waybill, s.carrier,
           coalesce((o.facts ->> 'intercepted')::boolean, FALSE) AS intercepted,
           coalesce(o.facts #>> '{cancelled,reason}', '') AS because,
           (SELECT count(*) FROM logistics.errand e WHERE e.shipment_id = s.shipment_id AND e.next_attempt_at IS NOT NULL)
               AS errands,
           (SELECT -coalesce(sum(m.on_hand_change), 0) FROM inventory.movement m WHERE m.order_id = o.id) AS pieces_gone,
           (SELECT coalesce(sum(m.reserved_change), 0) FROM inventory.movement m WHERE m.order_id = o.id) AS pieces_held,
           (SELECT count(*) FROM payments.refund r WHERE r.order_id = o.id AND r.due_at IS NOT NULL) AS refunds_due
      FROM orders.orders o
      LEFT JOIN payments.payment p ON p.order_id = o.id
      LEFT JOIN logistics.shipment s ON s.order_id = o.id
     WHERE o.id = any($1) AND o.placed IS NOT NULL
"""

_BURIED = " UNION ALL ".join(
    f"SELECT subject FROM {service}.dead_letter WHERE state = 'dead' AND subject = any($1)" for service in SERVICES
)

_WAITING = " UNION ALL ".join(
    f"SELECT '{service} has ' || count(*) || ' unpublished events' AS what FROM {service}.outbox HAVING count(*) > 0"
    for service in SERVICES
) + "".join(
    f" UNION ALL SELECT '{service} retries ' || count(*) || ' dead letters' FROM {service}.dead_letter"
    " WHERE state = 'retrying' HAVING count(*) > 0"
    for service in SERVICES
)


@dataclass(slots=True)
class Verdict:
    """What is wrong with the orders of one fault: each counted once, and said in words."""

    lost: set[str] = field(default_factory=set)
    doubled: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not (self.lost or self.doubled or self.stuck or self.violations)

    def note(self, bucket: set[str], order_id: str, what: str) -> None:
        """One more thing that is wrong."""
        bucket.add(order_id)
        self.violations.append(f"order {order_id}: {what}")


class Books:
    """Everything that is known outside the suite's own ledger, at one moment."""

    def __init__(self, orders: Mapping[str, asyncpg.Record], buried: set[str], partners: Mapping[str, Any]) -> None:
        self.orders = orders
        self.buried = buried
        self.charges = [charge for charge in partners["charges"] if charge["status"] in ("succeeded", "requires_capture")]
        self.taken = Counter(str(charge["order_id"]) for charge in self.charges)
        self.kept: Counter[str] = Counter()
        for charge in self.charges:
            self.kept[str(charge["order_id"])] += charge["captured"] - charge["refunded"]
        self.waybills: dict[str, list[str]] = {}
        for parcel in partners["shipments"]:
            self.waybills.setdefault(parcel["reference"], []).append(parcel["tracking_number"])
        self.messages = Counter(message["to"] for message in partners["messages"])


async def read_books(connection: asyncpg.Connection, partners: Mapping[str, Any], purchases: Sequence[Purchase]) -> Books:
    """Of these purchases."""
    ids = [purchase.order_id for purchase in purchases if purchase.order_id]
    orders = {row["id"]: row for row in await connection.fetch(_FOUND, ids)}
    return Books(orders, {row[0] for row in await connection.fetch(_BURIED, ids)}, partners)


async def what_waits(connection: asyncpg.Connection) -> list[str]:
    """Work that is written down and not done."""
    return [row["what"] for row in await connection.fetch(_WAITING)]


def end_of(purchase: Purchase, books: Books) -> str | None:
    """The end the purchase has come to; None while it is on its way."""
    if purchase.ended == "refused":
        return "refused"
    if purchase.order_id in books.buried and BURIED in purchase.ends:
        return BURIED
    row = books.orders.get(purchase.order_id or "")
    if row is None or row["status"] not in purchase.ends or row["asking"] or row["errands"] or row["refunds_due"]:
        return None
    if row["status"] == "cancelled" and row["captured"] > row["refunded"]:
        return None
    return str(row["status"])


def judge(purchases: Sequence[Purchase], books: Books, witness: Witness) -> Verdict:
    """After the load is drained."""
    verdict = Verdict()
    for purchase in purchases:
        id = purchase.order_id or purchase.reference
        if len(purchase.copies) > 1:
            verdict.note(verdict.doubled, id, f"one Idempotency-Key made {sorted(purchase.copies)}")
        if purchase.acknowledged_at is None:
            verdict.note(verdict.stuck, id, f"{purchase.kind.name}: never acknowledged")
        elif purchase.ended == "refused":
            continue
        elif purchase.ended is None:
            _judge_unfinished(verdict, purchase, id, books)
        elif purchase.ended != BURIED:
            _judge_ended(verdict, purchase, id, books, witness)
    return verdict


def _judge_unfinished(verdict: Verdict, purchase: Purchase, id: str, books: Books) -> None:
    row = books.orders.get(id)
    if row is None and id in books.buried:
        verdict.note(verdict.stuck, id, f"{purchase.kind.name}: it is a dead letter, and nothing was wrong with it")
    elif row is None:
        verdict.note(verdict.lost, id, f"{purchase.kind.name}: acknowledged, and orders does not know it")
    else:
        told = {name: row[name] for name in ("status", "because", "ending", "asking", "errands", "waybill", "captured")}
        buried = "; there is a dead letter" if id in books.buried else ""
        expected = "/".join(sorted(purchase.ends))
        verdict.note(verdict.stuck, id, f"{purchase.kind.name}: expected {expected}, is {told}{buried}")


def _judge_ended(verdict: Verdict, purchase: Purchase, id: str, books: Books, witness: Witness) -> None:
    row = books.orders[id]
    shipped = row["status"] == "shipped"
    charged_by_card = shipped and not purchase.kind.is_external and purchase.kind.channel != "invoice"
    if books.taken[id] > 1:
        verdict.note(verdict.doubled, id, f"charged {books.taken[id]} times")
    elif charged_by_card and books.kept[id] != purchase.total:
        verdict.note(verdict.lost, id, f"the partner holds {books.kept[id]}, the order costs {purchase.total}")
    elif row["status"] == "cancelled" and books.kept[id]:
        verdict.note(verdict.lost, id, f"cancelled, and the partner holds {books.kept[id]}")
    taken = purchase.quantity if shipped or (row["status"] == "held" and not row["intercepted"]) else 0
    if row["pieces_gone"] > taken:
        verdict.note(verdict.doubled, id, f"{row['pieces_gone']} pieces left the books instead of {taken}")
    elif row["pieces_gone"] < taken:
        verdict.note(verdict.lost, id, f"{row['pieces_gone']} pieces left the books instead of {taken}")
    if row["pieces_held"]:
        verdict.note(verdict.stuck, id, f"{row['pieces_held']} pieces stay set aside")
    if shipped:
        _judge_parcel(verdict, purchase, id, row, books, witness)


def _judge_parcel(verdict: Verdict, purchase: Purchase, id: str, row: asyncpg.Record, books: Books, witness: Witness) -> None:
    for event_type in ("shipment.created", "tracking.pushed"):
        said = witness.said(id, event_type)
        if said != 1:
            bucket = verdict.doubled if said else verdict.lost
            verdict.note(bucket, id, f"{event_type} was announced {said} times")
    messages = books.messages[purchase.phone]
    if messages != 1:
        verdict.note(verdict.doubled if messages else verdict.lost, id, f"the shopper got {messages} messages")


def judge_waybills(books: Books, known: Sequence[asyncpg.Record]) -> list[str]:
    """Labels at the carrier that no order of ours has: each is a parcel sent twice. `known`: all of ours."""
    ours = {row["waybill"]: row["order_id"] for row in known}
    extra = []
    for reference, numbers in books.waybills.items():
        if strangers := [number for number in numbers if number not in ours]:
            mine = [f"{number} of order {ours[number]}" for number in numbers if number in ours]
            extra.append(f"the carrier has labels {strangers} for {reference} that we do not know, beside {mine}")
    return extra


def judge_strangers(ids: Sequence[str], made: Sequence[Purchase]) -> list[str]:
    """Orders that no client was ever told of: each is somebody's order twice."""
    if any(purchase.acknowledged_at is None and purchase.ended is None for purchase in made):
        return []  # the answer may be on its way
    ours = {purchase.order_id for purchase in made}
    return [f"order {id} was placed, and no client was told of it" for id in ids if id not in ours]
