"""SQL that writes, inside a transaction it is given. One statement for the whole batch."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from services.orders import lifecycle
from services.orders.order import Order
from shared import telemetry
from shared.database import Entries, Journal, Row, Tx
from shared.events.orders import OrderPlaced
from shared.events.products import Product
from shared.money import Money


def order_from(row: Row) -> Order:
    """An order from its columns id, placed::text, placed_at, facts."""
    placed = OrderPlaced.model_validate_json(row["placed"]) if row["placed"] else None
    return Order(id=row["id"], placed=placed, placed_at=row["placed_at"], **row["facts"])


def facts_of(order: Order) -> str:
    """What is known beside the placed order itself."""
    return order.model_dump_json(exclude={"id", "placed", "placed_at"}, exclude_defaults=True)


async def insert(tx: Tx, orders: Sequence[Order]) -> set[str]:
    """Keep new orders; the ids of those that are new. What other services said of one before is not touched here."""
    rows = await tx.fetch(
        """
        INSERT INTO orders (id, status, source, currency, total, captured, placed, facts, placed_at)
        SELECT id, status, source, currency, total, captured, placed::jsonb, facts::jsonb, placed_at
          FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],
                      $9::timestamptz[])
               new (id, status, source, currency, total, captured, placed, facts, placed_at)
         ORDER BY id
        ON CONFLICT (id) DO NOTHING RETURNING id
        """,
        [order.id for order in orders],
        [order.status for order in orders],
        [order.placed and order.placed.source for order in orders],
        [order.placed and order.placed.total.currency for order in orders],
        [order.placed and order.placed.total.amount for order in orders],
        [order.captured for order in orders],
        [order.placed and order.placed.model_dump_json() for order in orders],
        [facts_of(order) for order in orders],
        [order.placed_at for order in orders],
    )
    return {row["id"] for row in rows}


async def lock(tx: Tx, ids: Collection[str]) -> dict[str, Order]:
    """The orders, locked in the order of their ids; one that is not known yet is made, and waits for its placing."""
    wanted = sorted(set(ids))
    known = await _lock_known(tx, wanted)
    if len(known) < len(wanted):
        missing = sorted(set(wanted) - known.keys())
        await tx.execute("INSERT INTO orders (id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", missing)
        known |= await _lock_known(tx, missing)
    return known


async def lock_one(tx: Tx, id: str) -> Order | None:
    """The order, locked; None when there is none, or it was never placed."""
    order = (await _lock_known(tx, [id])).get(id)
    return order if order and order.placed else None


async def _lock_known(tx: Tx, ids: Sequence[str]) -> dict[str, Order]:
    rows = await tx.fetch(
        "SELECT id, placed::text, placed_at, facts FROM orders WHERE id = any($1::text[]) ORDER BY id FOR UPDATE", ids
    )
    return {row["id"]: order_from(row) for row in rows}


async def fill_in(tx: Tx, orders: Sequence[Order]) -> None:
    """Orders of which other services spoke before they were placed are whole now."""
    await tx.execute(
        """
        UPDATE orders o
           SET status = new.status, source = new.source, currency = new.currency, total = new.total,
               placed = new.placed::jsonb, placed_at = new.placed_at
          FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[])
               new (id, status, source, currency, total, placed, placed_at)
         WHERE o.id = new.id
        """,
        [order.id for order in orders],
        [order.status for order in orders],
        [order.placed and order.placed.source for order in orders],
        [order.placed and order.placed.total.currency for order in orders],
        [order.placed and order.placed.total.amount for order in orders],
        [order.placed and order.placed.model_dump_json() for order in orders],
        [order.placed_at for order in orders],
    )


async def save(tx: Tx, orders: Iterable[Order], return_window: timedelta) -> None:
    """Write what is known now of orders that were locked."""
    changed = list(orders)
    await tx.execute(
        """
        UPDATE orders o
           SET status = new.status, captured = new.captured, refunded = new.refunded, facts = new.facts::jsonb,
               complete_at = new.complete_at
          FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::timestamptz[])
               new (id, status, captured, refunded, facts, complete_at)
         WHERE o.id = new.id
        """,
        [order.id for order in changed],
        [order.status if order.placed else None for order in changed],
        [order.captured for order in changed],
        [order.refunded for order in changed],
        [facts_of(order) for order in changed],
        [lifecycle.completes_at(order, return_window) for order in changed],
    )


async def claim_complete(tx: Tx, limit: int) -> list[Order]:
    """Delivered orders whose return window is over, locked."""
    rows = await tx.fetch(
        # in the order of the index of what is due: by id, all orders there are would be looked through
        """
        SELECT id, placed::text, placed_at, facts FROM orders WHERE complete_at <= $1
        ORDER BY complete_at LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        tx.now,
        limit,
    )
    return [order_from(row) for row in rows]


async def prices(tx: Tx, skus: Collection[str]) -> dict[str, Money]:
    """What the articles on sale cost, by SKU."""
    rows = await tx.fetch("SELECT sku, amount, currency FROM price WHERE on_sale AND sku = any($1::text[])", sorted(skus))
    return {row["sku"]: Money(amount=row["amount"], currency=row["currency"]) for row in rows}


async def learn_prices(tx: Tx, products: Sequence[Product], *, on_sale: bool) -> None:
    """Keep the newest revision of each product."""
    newest: Mapping[int, Product] = {p.product_id: p for p in sorted(products, key=lambda p: p.revision)}
    await tx.execute(
        """
        INSERT INTO price AS known (product_id, sku, amount, currency, revision, on_sale)
        SELECT *, $6 FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::integer[]) new ORDER BY 1
        ON CONFLICT (product_id) DO UPDATE
           SET sku = excluded.sku, amount = excluded.amount, currency = excluded.currency,
               revision = excluded.revision, on_sale = excluded.on_sale
         WHERE known.revision < excluded.revision
        """,
        list(newest),
        [product.sku for product in newest.values()],
        [product.price.amount for product in newest.values()],
        [product.price.currency for product in newest.values()],
        [product.revision for product in newest.values()],
        on_sale,
    )


def _told(tx: Tx, entries: Entries) -> list[list[Any]]:
    """Another system's clock may say anything: its events are told at the moment they are heard."""
    told = [(event, envelope) for event, envelope in entries if hasattr(event, "order_id")]
    if not told:
        return []
    return [
        [getattr(event, "order_id") for event, _ in told],  # noqa: B009
        [envelope.time if envelope.is_ours else tx.now for _, envelope in told],
        [envelope.id for _, envelope in told],
        [envelope.type for _, envelope in told],
        [envelope.source for _, envelope in told],
        [envelope.causation_id for _, envelope in told],
        [telemetry.trace_id_of(envelope) for _, envelope in told],
        [event.note() for event, _ in told],
    ]


timeline = Journal(
    """
    INSERT INTO timeline (order_id, at, event_id, type, source, caused_by, trace_id, note)
    SELECT * FROM unnest($4::text[], $5::timestamptz[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
    """,
    _told,
)
"""What was heard and said of each order."""
