"""Fills the store as years of business would: copies of orders that went through, in every service's tables, so that all
of it adds up as before. By SQL: a million orders through the pipeline would take longer than what is measured."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.stack.credentials import SERVICES
from tests.faults.servers import Servers

TEMPLATES = 100
"""Orders that are copied."""

LONG = 3600.0
"""Seconds that a statement may take."""

_ID = "md5({column}::text || n)::uuid"
_HEARD_BEFORE = (
    "overlay({id} placing lpad(to_hex((extract(epoch FROM received_at) * 1000)::bigint - n), 12, '0') from 1)::uuid".format(
        id="md5(key::text || n)"
    )
)
"""Keys are in the sequence of time."""

_WAYBILL = "waybill || '-' || n"
_FACTS = """
    jsonb_set(jsonb_set(facts, '{parcel,waybill}', to_jsonb((facts #>> '{parcel,waybill}') || '-' || n)),
              '{parcel,shipment_id}', to_jsonb(md5((facts #>> '{parcel,shipment_id}') || n)::uuid))
"""


@dataclass(frozen=True, slots=True)
class Copied:
    """A table with rows of an order. `changed`: what sets the n-th copy of a row apart from it; the rest stays."""

    name: str
    changed: Mapping[str, str]
    order: str = "order_id"


TABLES = (
    Copied(
        "orders.orders",
        {
            "placed": "jsonb_set(placed, '{order_id}', to_jsonb(id || '-' || n))",
            "facts": _FACTS,
            "placed_at": "placed_at - n * interval '1 ms'",
        },
        order="id",
    ),
    Copied("orders.timeline", {"event_id": f"{_ID.format(column='event_id')}::text", "at": "at - n * interval '1 ms'"}),
    Copied("inventory.reservation", {}),
    Copied("inventory.movement", {}),
    Copied("payments.payment", {"id": _ID.format(column="id")}),
    Copied("payments.ledger_entry", {"payment_id": _ID.format(column="payment_id")}),
    Copied("logistics.shipment", {"shipment_id": _ID.format(column="shipment_id"), "waybill": _WAYBILL}),
)

_TEMPLATES = """
    SELECT orders.id FROM orders.orders JOIN payments.payment ON order_id = orders.id
     WHERE status = 'shipped' AND payment.channel = 'invoice' ORDER BY placed_at LIMIT $1
"""

# Columns that Postgres fills in itself are left to it.
_COLUMNS = """
    SELECT attname FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = '' AND attgenerated = ''
     ORDER BY attnum
"""

# What the copies have taken from the shelves had been brought in for them: the pieces there stay the same.
_DELIVERED = """
    INSERT INTO inventory.movement (at, sku, location, kind, on_hand_change, reserved_change, reason)
    SELECT now(), sku, location, 'adjusted', -$2::bigint * sum(on_hand_change), 0, 'delivered for the copies'
      FROM inventory.movement WHERE order_id = any($1) GROUP BY sku, location HAVING sum(on_hand_change) <> 0
"""


async def store(servers: Servers, wanted: int) -> None:
    """Returns when so many orders are stored, and the tables are as clean as a database at work keeps them."""
    ((there,),) = await servers.fetch("SELECT count(*) FROM orders.orders")
    templates = [row["id"] for row in await servers.fetch(_TEMPLATES, TEMPLATES)]
    copies = -(-(wanted - there) // len(templates))
    if copies <= 0:
        return
    numbers = range(there + 1, there + copies + 1)  # none is used twice, however often this is called
    await asyncio.gather(
        *(_copy(servers, table, templates, numbers) for table in TABLES),
        *(_copy_inbox(servers, service, len(templates) / there, numbers) for service in SERVICES),
    )
    async with servers.connection() as connection:
        await connection.execute(_DELIVERED, templates, copies, timeout=LONG)
    await asyncio.gather(*(_tidy(servers, table) for table in (*(t.name for t in TABLES), *(f"{s}.inbox" for s in SERVICES))))
    await servers.sql("CHECKPOINT")


async def _copy(servers: Servers, table: Copied, templates: list[str], numbers: range) -> None:
    async with servers.connection() as connection:
        columns = [row["attname"] for row in await connection.fetch(_COLUMNS, table.name)]
        changed = {table.order: f"{table.order} || '-' || n", **table.changed}
        await connection.execute(
            f"""
            INSERT INTO {table.name} ({", ".join(columns)}) SELECT {", ".join(changed.get(each, each) for each in columns)}
              FROM {table.name}, generate_series($2::bigint, $3::bigint) n WHERE {table.order} = any($1)
            """,
            templates,
            numbers.start,
            numbers.stop - 1,
            timeout=LONG,
        )


async def _copy_inbox(servers: Servers, service: str, share: float, numbers: range) -> None:
    """As many rows for each copy as there were for each order: nothing in them says whose they are."""
    async with servers.connection() as connection:
        columns = [row["attname"] for row in await connection.fetch(_COLUMNS, f"{service}.inbox")]
        changed = {"key": _HEARD_BEFORE}
        await connection.execute(
            f"""
            INSERT INTO {service}.inbox ({", ".join(columns)}) SELECT {", ".join(changed.get(each, each) for each in columns)}
              FROM (SELECT * FROM {service}.inbox LIMIT (SELECT ceil($1::float * count(*))::bigint FROM {service}.inbox)) heard,
                   generate_series($2::bigint, $3::bigint) n
            """,
            share,
            numbers.start,
            numbers.stop - 1,
            timeout=LONG,
        )


async def _tidy(servers: Servers, table: str) -> None:
    async with servers.connection() as connection:
        await connection.execute(f"VACUUM (ANALYZE) {table}", timeout=LONG)
