"""SQL that writes, inside a transaction it is given. One statement for the whole batch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from services.logistics.settings import settings
from services.logistics.shipping import Errand, Kind, Shipment
from services.logistics.tracking import Scan, Status
from shared import telemetry
from shared.database import Row, Tx
from shared.events import Envelope
from shared.events.fields import Address

LEASE_IN_CALLS = 6
"""A claim is somebody's for so many of a partner's time-outs: no claim makes more than two calls, each of them bounded. What the
partner has not done by then it does no more."""


def lease() -> timedelta:
    """How long a claim is somebody's."""
    return LEASE_IN_CALLS * timedelta(seconds=settings().partner_timeout)


_FACTS = tuple(field.name for field in fields(Shipment))
_COLUMNS = ", ".join(_FACTS)  # all that is ever put into a statement's text
_CHANGING = [*(name for name in _FACTS if name not in ("shipment_id", "order_id")), "state"]
_envelope = TypeAdapter(Envelope)


def shipment_of(row: Row) -> Shipment:
    """A shipment from its columns."""
    facts: dict[str, Any] = {name: row[name] for name in _FACTS}
    facts["ship_to"] = facts["ship_to"] and Address.model_validate(facts["ship_to"])
    return Shipment(**facts)


def _row_of(shipment: Shipment) -> dict[str, Any]:
    """Its columns, without those that are null."""
    facts = {name: fact for name, fact in vars(shipment).items() if fact is not None}
    return facts | {
        "shipment_id": str(shipment.shipment_id),  # Postgres's client has a class of its own for them
        "state": shipment.state,
        "ship_to": shipment.ship_to and shipment.ship_to.model_dump(),
    }


async def lock(tx: Tx, order_ids: Collection[str]) -> dict[str, Shipment]:
    """The shipments that are known of these orders, locked in the order of the orders' ids."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM shipment WHERE order_id = any($1::text[]) ORDER BY order_id FOR UPDATE",  # noqa: S608
        sorted(order_ids),
    )
    return {row["order_id"]: shipment_of(row) for row in rows}


async def insert(tx: Tx, shipments: Collection[Shipment]) -> set[str]:
    """Keep shipments of orders of which nothing was known; the orders whose shipment is kept now. Of the others somebody else
    has learned at this moment: they are left as they are, and can be locked."""
    rows = await tx.fetch(
        f"""
        INSERT INTO shipment ({_COLUMNS}, state, created_at)
        SELECT {_COLUMNS}, state, $2 FROM jsonb_populate_recordset(NULL::shipment, $1) ORDER BY order_id
        ON CONFLICT ON CONSTRAINT shipment_is_one_an_order DO NOTHING RETURNING order_id
        """,  # noqa: S608
        [_row_of(shipment) for shipment in shipments],
        tx.now,
    )
    return {row["order_id"] for row in rows}


async def lock_scanned(tx: Tx, waybills: Collection[str]) -> dict[str, Shipment]:
    """The shipments that go under these numbers, by order, locked in the same sequence."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM shipment WHERE waybill = any($1::text[]) ORDER BY order_id FOR UPDATE",  # noqa: S608
        sorted(set(waybills)),
    )
    return {row["order_id"]: shipment_of(row) for row in rows}


async def orders_of(tx: Tx, waybills: Collection[str]) -> dict[tuple[str | None, str], str]:
    """The orders whose parcels have these numbers, by carrier and number."""
    if not waybills:
        return {}
    rows = await tx.fetch("SELECT carrier, waybill, order_id FROM shipment WHERE waybill = any($1::text[])", sorted(waybills))
    return {(row["carrier"], row["waybill"]): row["order_id"] for row in rows}


async def allot_serials(tx: Tx, count: int) -> list[int]:
    """The next numbers of our own fleet's range; nobody else gets them."""
    rows = await tx.fetch("SELECT nextval('fleet_serial') AS serial FROM generate_series(1, $1::integer)", count)
    return [row["serial"] for row in rows]


async def save(tx: Tx, shipments: Collection[Shipment]) -> None:
    """Write what is known now of shipments that are locked."""
    await tx.execute(
        f"""
        UPDATE shipment SET ({", ".join(_CHANGING)}) = ({", ".join(f"known.{name}" for name in _CHANGING)})
          FROM jsonb_populate_recordset(NULL::shipment, $1) known WHERE shipment.shipment_id = known.shipment_id
        """,  # noqa: S608
        [_row_of(shipment) for shipment in shipments],
    )


async def send(tx: Tx, errands: Sequence[tuple[Shipment, Kind]]) -> None:
    """Have partners asked. An errand that was done before is done again and knows that it is not the first."""
    await tx.execute(
        """
        INSERT INTO errand (shipment_id, kind, cause, next_attempt_at, created_at)
        SELECT *, $4, $4 FROM unnest($1::uuid[], $2::text[], $3::jsonb[])
        ON CONFLICT ON CONSTRAINT errand_is_one_of_its_kind DO UPDATE
           SET next_attempt_at = excluded.next_attempt_at, cause = excluded.cause
        """,
        [shipment.shipment_id for shipment, _ in errands],
        [kind for _, kind in errands],
        [_kept(tx.cause(shipment.order_id)) for shipment, _ in errands],
        tx.now,
    )


async def claim(tx: Tx, kind: Kind, limit: int) -> list[Errand]:
    """Errands whose time has come, the longest waiting first; nobody else gets them before the lease is over."""
    rows = await tx.fetch(
        f"""
        WITH due AS (
            SELECT shipment_id FROM errand WHERE kind = $1 AND next_attempt_at <= $2
             ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE errand SET attempts = attempts + 1, next_attempt_at = $2 + $4::interval
              FROM due WHERE errand.shipment_id = due.shipment_id AND kind = $1
            RETURNING errand.shipment_id AS id, attempts, cause
        )
        SELECT attempts, cause, {_COLUMNS} FROM shipment JOIN claimed ON shipment_id = id
        """,  # noqa: S608
        kind,
        tx.now,
        limit,
        lease(),
    )
    return [Errand(shipment_of(row), kind, row["attempts"], _read(row["cause"])) for row in rows]


async def reschedule(tx: Tx, kind: Kind, errands: Sequence[tuple[Errand, datetime | None]]) -> None:
    """When each claimed errand is tried next; None: it is done. Who was overtaken while asking changes nothing."""
    await tx.execute(
        """
        UPDATE errand SET next_attempt_at = tried.next_attempt_at
          FROM unnest($2::uuid[], $3::integer[], $4::timestamptz[]) tried (shipment_id, attempts, next_attempt_at)
         WHERE errand.shipment_id = tried.shipment_id AND kind = $1 AND errand.attempts = tried.attempts
        """,
        kind,
        [errand.shipment.shipment_id for errand, _ in errands],
        [errand.attempts for errand, _ in errands],
        [at for _, at in errands],
    )


async def call_off(tx: Tx, shipments: Collection[Shipment]) -> set[UUID]:
    """Drop the bookings and messages that nobody has begun; the shipments whose booking somebody has."""
    rows = await tx.fetch(
        """
        UPDATE errand SET next_attempt_at = CASE WHEN attempts > 0 THEN next_attempt_at END
         WHERE shipment_id = any($1::uuid[]) AND kind IN ('book', 'notify') AND next_attempt_at IS NOT NULL
        RETURNING shipment_id, kind, attempts
        """,
        sorted(shipment.shipment_id for shipment in shipments),
    )
    return {row["shipment_id"] for row in rows if row["kind"] == "book" and row["attempts"] > 0}


async def keep_labels(tx: Tx, labels: Mapping[UUID, bytes]) -> None:
    """Keep the labels of shipments that are known, to be printed."""
    await tx.execute(
        """
        INSERT INTO label (shipment_id, content, kept_at) SELECT *, $3 FROM unnest($1::uuid[], $2::bytea[])
        ON CONFLICT ON CONSTRAINT label_is_one_a_shipment DO NOTHING
        """,
        list(labels),
        list(labels.values()),
        tx.now,
    )


async def forget_labels(tx: Tx, before: datetime) -> int:
    """Labels of parcels that have long been handed over; how many were dropped."""
    rows = await tx.fetch(
        """
        DELETE FROM label WHERE shipment_id IN (
            SELECT shipment_id FROM label WHERE kept_at < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED)
        RETURNING 1
        """,
        before,
    )
    return len(rows)


async def take_webhook(tx: Tx, provider: str, webhook_id: str) -> bool:
    """Whether this notification comes for the first time; the same one, coming at the same moment, waits."""
    return bool(
        await tx.fetchval(
            """
            INSERT INTO webhook_notification (provider, webhook_id, received_at) VALUES ($1, $2, $3)
            ON CONFLICT ON CONSTRAINT webhook_is_taken_once DO NOTHING RETURNING TRUE
            """,
            provider,
            webhook_id,
            tx.now,
        )
    )


async def forget_webhooks(tx: Tx, before: datetime) -> int:
    """Notifications so old that their signature's time has long run out; how many were dropped."""
    rows = await tx.fetch(
        """
        DELETE FROM webhook_notification WHERE (provider, webhook_id) IN (
            SELECT provider, webhook_id FROM webhook_notification WHERE received_at < $1 LIMIT 5000 FOR UPDATE SKIP LOCKED)
        RETURNING 1
        """,
        before,
    )
    return len(rows)


async def keep_scans(tx: Tx, scans: Sequence[Scan]) -> None:
    """Keep the scans; one of an unknown number waits for its shipment. Scans come sorted."""
    await tx.execute(
        """
        INSERT INTO scan (waybill, at, status, description, shipment_id, received_at)
        SELECT new.*, (SELECT min(shipment_id::text)::uuid FROM shipment WHERE shipment.waybill = new.waybill), $5
          FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[]) new (waybill, at, status, description)
        ON CONFLICT ON CONSTRAINT scan_is_told_once DO NOTHING
        """,
        [scan.waybill for scan in scans],
        [scan.at for scan in scans],
        [scan.status for scan in scans],
        [scan.description for scan in scans],
        tx.now,
    )


async def match_scans(tx: Tx, since: datetime, limit: int) -> list[Scan]:
    """Scans, received since then, that waited for their waybill and need wait no longer."""
    rows = await tx.fetch(
        """
        UPDATE scan SET shipment_id = found.shipment_id
          FROM (SELECT scan.waybill, at, status, shipment.shipment_id
                  FROM scan JOIN shipment ON shipment.waybill = scan.waybill
                 WHERE scan.shipment_id IS NULL AND received_at >= $1 LIMIT $2 FOR UPDATE OF scan SKIP LOCKED) found
         WHERE scan.waybill = found.waybill AND scan.at = found.at AND scan.status = found.status
        RETURNING scan.waybill, scan.at, scan.status, scan.description
        """,
        since,
        limit,
    )
    return sorted(Scan(row["waybill"], row["at"], Status(row["status"]), row["description"]) for row in rows)


async def forget_unknown_scans(tx: Tx, before: datetime) -> int:
    """Scans received before then whose number is still not known; how many were dropped."""
    rows = await tx.fetch(
        """
        DELETE FROM scan WHERE (waybill, at, status) IN (
            SELECT waybill, at, status FROM scan WHERE shipment_id IS NULL AND received_at < $1 LIMIT 5000 FOR UPDATE SKIP LOCKED)
        RETURNING 1
        """,
        before,
    )
    return len(rows)


def _kept(cause: Envelope | None) -> dict[str, Any] | None:
    return asdict(telemetry.continued(cause)) if cause else None


def _read(cause: dict[str, Any] | None) -> Envelope | None:
    return _envelope.validate_python(cause) if cause else None
