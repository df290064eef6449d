"""Stands in for services/logistics/store.py."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.logistics.shipping import Errand, Kind, Shipment, State
from services.logistics.tracking import Scan
from shared.database import Tx
from tests.simulation.memory.tables import Tables, draw, require

START_OF_TIME = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=20)


@dataclass
class LogisticsTables(Tables):
    """Shipments by order; errands by order and kind, each with its attempts and the time of the next; scans."""

    shipments: dict[str, Shipment] = field(default_factory=dict)
    errands: dict[tuple[str, Kind], tuple[int, datetime | None]] = field(default_factory=dict)
    scans: dict[tuple[str, datetime, str], Scan] = field(default_factory=dict)
    received: dict[tuple[str, datetime, str], datetime] = field(default_factory=dict)
    matched: dict[tuple[str, datetime, str], None] = field(default_factory=dict)
    webhooks: dict[str, None] = field(default_factory=dict)

    def next_due(self) -> list[datetime]:
        early = [START_OF_TIME] if len(self.matched) < len(self.scans) and self._has_early_scans() else []
        return [*early, *(at for _, at in self.errands.values() if at)]

    def _has_early_scans(self) -> bool:
        waybills = {shipment.waybill for shipment in self.shipments.values()}
        return any(key not in self.matched and key[0] in waybills for key in self.scans)


def _of(tx: Tx) -> LogisticsTables:
    tables: LogisticsTables = tx.tables  # type: ignore[attr-defined]
    return tables


async def lock(tx: Tx, order_ids: Collection[str]) -> dict[str, Shipment]:
    known = _of(tx).shipments
    return {order_id: known[order_id] for order_id in sorted(order_ids) if order_id in known}


async def insert(tx: Tx, shipments: Collection[Shipment]) -> set[str]:
    await save(tx, shipments)
    return {shipment.order_id for shipment in shipments}


async def lock_scanned(tx: Tx, waybills: Collection[str]) -> dict[str, Shipment]:
    known = _of(tx).shipments
    return {id: known[id] for id in sorted(known) if known[id].waybill in waybills}


async def orders_of(tx: Tx, waybills: Collection[str]) -> dict[tuple[str | None, str], str]:
    return {
        (each.carrier, each.waybill): id for id, each in _of(tx).shipments.items() if each.waybill in waybills and each.waybill
    }


async def allot_serials(tx: Tx, count: int) -> list[int]:
    return [draw(tx) for _ in range(count)]


async def save(tx: Tx, shipments: Collection[Shipment]) -> None:
    for shipment in shipments:
        _check(shipment)
        _of(tx).shipments[shipment.order_id] = shipment


async def send(tx: Tx, errands: Sequence[tuple[Shipment, Kind]]) -> None:
    known = _of(tx).errands
    for shipment, kind in errands:
        attempts, _ = known.get((shipment.order_id, kind), (0, None))
        known[shipment.order_id, kind] = (attempts, tx.now)


async def claim(tx: Tx, kind: Kind, limit: int) -> list[Errand]:
    tables = _of(tx)
    claimed = []
    for (order_id, which), (attempts, at) in list(tables.errands.items()):
        if which is kind and at is not None and at <= tx.now:
            tables.errands[order_id, kind] = (attempts + 1, tx.now + LEASE)
            claimed.append(Errand(tables.shipments[order_id], kind, attempts + 1, None))
    return claimed[:limit]


async def reschedule(tx: Tx, kind: Kind, errands: Sequence[tuple[Errand, datetime | None]]) -> None:
    known = _of(tx).errands
    for errand, at in errands:
        key = errand.shipment.order_id, kind
        if known[key][0] == errand.attempts:
            known[key] = (errand.attempts, at)


async def call_off(tx: Tx, shipments: Collection[Shipment]) -> set[UUID]:
    known = _of(tx).errands
    begun = set()
    for shipment in shipments:
        for kind in (Kind.BOOK, Kind.NOTIFY):
            attempts, at = known.get((shipment.order_id, kind), (0, None))
            if at is None:
                continue
            if attempts == 0:
                known[shipment.order_id, kind] = (0, None)
            elif kind is Kind.BOOK:
                begun.add(shipment.shipment_id)
    return begun


async def take_webhook(tx: Tx, provider: str, webhook_id: str) -> bool:
    if webhook_id in _of(tx).webhooks:
        return False
    _of(tx).webhooks[webhook_id] = None
    return True


async def keep_scans(tx: Tx, scans: Sequence[Scan]) -> None:
    tables = _of(tx)
    waybills = {shipment.waybill for shipment in tables.shipments.values()}
    for scan in scans:
        key = scan.waybill, scan.at, scan.status.value
        if key not in tables.scans:
            tables.scans[key] = scan
            tables.received[key] = tx.now
            if scan.waybill in waybills:
                tables.matched[key] = None


async def match_scans(tx: Tx, since: datetime, limit: int) -> list[Scan]:
    tables = _of(tx)
    waybills = {shipment.waybill for shipment in tables.shipments.values()}
    waiting = [key for key in tables.scans if key not in tables.matched and tables.received[key] >= since]
    found = [key for key in waiting if key[0] in waybills][:limit]
    tables.matched |= dict.fromkeys(found)
    return sorted(tables.scans[key] for key in found)


def _check(s: Shipment) -> None:
    state = s.state
    whole = [each is None for each in (s.paid_at, s.ship_to, s.contents, s.value, s.currency)]
    require(sum(whole) in (0, 5), "only_paid_orders_are_shipped", s)
    require(bool(s.paid_at) or not (s.carrier or s.waybill or s.refused), "only_paid_orders_are_shipped", s)
    require(bool(s.paid_at) or state in (State.AWAITED, State.CANCELLED), "unpaid_shipment_is_only_awaited", s)
    require(s.waybill is None or s.deducted_at is not None, "shipped_stock_is_deducted", s)
    require((s.waybill is None) == (s.booked_at is None), "booked_shipment_is_whole", s)
    require(s.waybill is None or (s.carrier is not None and s.refused is None), "waybill_is_not_refused", s)
    still = (State.AWAITED, State.BOOKING, State.FAILED, State.CANCELLED)
    require(s.waybill is not None or (state in still and not s.has_left), "moving_parcel_has_a_waybill", s)
    require(state is not State.FAILED or bool(s.refused or s.failure), "failed_shipment_says_why", s)
    require((s.failed_at is None) == (s.failure is None), "failure_says_when", s)
    require(s.withdrawn_at is None or s.cancelled_at is not None, "only_what_is_cancelled_is_withdrawn", s)
    require((s.told_at is None) == (s.told_by is None), "told_shopper_has_a_number", s)
    require(s.told_at is None or s.waybill is not None, "told_shopper_has_a_number", s)
