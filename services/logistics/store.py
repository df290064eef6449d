"""SQL that writes, inside a transaction it is given. One statement for the whole batch."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from services.logistics import shipping
from services.logistics.settings import settings
from services.logistics.shipping import Kind, Shipment
from services.logistics.tracking import Scan, Status
from shared import telemetry
from shared.database import Row, Tx
from shared.events import Envelope
from shared.events.fields import Address

LEASE_IN_CALLS = 4
"""A claim is somebody's for so many of a partner's time-outs: no claim makes more than two calls, each of them bounded."""

_FACTS = tuple(field.name for field in fields(Shipment))
_COLUMNS = ", ".join(_FACTS)  # all that is ever put into a statement's text
_envelope = TypeAdapter(Envelope)


@dataclass(frozen=True, slots=True)
class Errand:
    """Something a partner must be asked for, claimed by whoever holds it for as long as the lease lasts."""

    shipment: Shipment
    kind: Kind
    attempts: int
    cause: Envelope | None


def shipment_of(row: Row) -> Shipment:
    """A shipment from its columns."""
    facts: dict[str, Any] = {name: row[name] for name in _FACTS}
    facts["ship_to"] = facts["ship_to"] and Address.model_validate(facts["ship_to"])
    return Shipment(**facts)


async def lock(tx: Tx, order_ids: Iterable[str]) -> dict[str, Shipment]:
    """Each order's shipment, locked in the order of the orders' ids; of which nothing is known yet, one without facts."""
    wanted = sorted(set(order_ids))
    rows = await tx.fetch(
        # one statement makes the row or locks it: two that learn of an order at once wait for each other
        f"""
        INSERT INTO shipment (shipment_id, order_id, state, created_at)
        SELECT shipment_id, order_id, 'awaited', $3 FROM unnest($1::uuid[], $2::text[]) new (shipment_id, order_id)
        ON CONFLICT ON CONSTRAINT shipment_is_one_an_order DO UPDATE SET order_id = excluded.order_id
        RETURNING {_COLUMNS}
        """,  # noqa: S608
        [shipping.id_of(order_id) for order_id in wanted],
        wanted,
        tx.now,
    )
    return {row["order_id"]: shipment_of(row) for row in rows}


async def lock_scanned(tx: Tx, waybills: Collection[str]) -> dict[str, Shipment]:
    """The shipments that go under these numbers, by order, locked in the same sequence."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM shipment WHERE waybill = any($1::text[]) ORDER BY order_id FOR UPDATE",  # noqa: S608
        sorted(set(waybills)),
    )
    return {row["order_id"]: shipment_of(row) for row in rows}


async def allot_serials(tx: Tx, count: int) -> list[int]:
    """The next numbers of our own fleet's range; nobody else gets them."""
    rows = await tx.fetch("SELECT nextval('fleet_serial') AS serial FROM generate_series(1, $1::integer)", count)
    return [row["serial"] for row in rows]


async def save(tx: Tx, shipments: Collection[Shipment]) -> None:
    """Write what is known now of shipments that are locked."""
    ordered = sorted(shipments, key=lambda shipment: shipment.order_id)
    await tx.execute(
        """
        UPDATE shipment
           SET state = new.state, ship_to = new.ship_to, paid_at = new.paid_at, deducted_at = new.deducted_at,
               phone = new.phone, contents = new.contents, value = new.value, currency = new.currency,
               carrier = new.carrier, serial = new.serial, refused = new.refused, waybill = new.waybill,
               tracking_url = new.tracking_url, booked_at = new.booked_at, told_at = new.told_at, told_by = new.told_by,
               in_transit_at = new.in_transit_at, delivered_at = new.delivered_at, failed_at = new.failed_at,
               failure = new.failure, released_at = new.released_at, cancelled_at = new.cancelled_at,
               withdrawn_at = new.withdrawn_at, answered_failure_at = new.answered_failure_at
          FROM unnest($1::text[], $2::jsonb[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[],
                      $8::text[], $9::bigint[], $10::text[], $11::text[], $12::bigint[], $13::text[], $14::text[],
                      $15::text[], $16::timestamptz[], $17::timestamptz[], $18::text[], $19::timestamptz[],
                      $20::timestamptz[], $21::timestamptz[], $22::text[], $23::timestamptz[], $24::timestamptz[],
                      $25::timestamptz[], $26::timestamptz[])
               new (state, ship_to, shipment_id, order_id, paid_at, deducted_at, phone, contents, value, currency, carrier,
                    serial, refused, waybill, tracking_url, booked_at, told_at, told_by, in_transit_at, delivered_at,
                    failed_at, failure, released_at, answered_failure_at, cancelled_at, withdrawn_at)
         WHERE shipment.shipment_id = new.shipment_id
        """,
        [shipment.state for shipment in ordered],
        [shipment.ship_to and shipment.ship_to.model_dump() for shipment in ordered],
        *([getattr(shipment, name) for shipment in ordered] for name in _FACTS if name != "ship_to"),
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
        LEASE_IN_CALLS * timedelta(seconds=settings().partner_timeout),
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


async def match_scans(tx: Tx, limit: int) -> list[Scan]:
    """Scans that waited for their waybill and need wait no longer."""
    rows = await tx.fetch(
        """
        UPDATE scan SET shipment_id = found.shipment_id
          FROM (SELECT scan.waybill, at, status, shipment.shipment_id
                  FROM scan JOIN shipment ON shipment.waybill = scan.waybill
                 WHERE scan.shipment_id IS NULL LIMIT $1 FOR UPDATE OF scan SKIP LOCKED) found
         WHERE scan.waybill = found.waybill AND scan.at = found.at AND scan.status = found.status
        RETURNING scan.waybill, scan.at, scan.status, scan.description
        """,
        limit,
    )
    return sorted(Scan(row["waybill"], row["at"], Status(row["status"]), row["description"]) for row in rows)


def _kept(cause: Envelope | None) -> dict[str, Any] | None:
    return asdict(telemetry.continued(cause)) if cause else None


def _read(cause: dict[str, Any] | None) -> Envelope | None:
    return _envelope.validate_python(cause) if cause else None
