"""What inventory writes: each function is one statement for the whole batch, inside a transaction it is given."""

from collections.abc import Collection, Sequence
from typing import Any

import asyncpg
import orjson
from pydantic import TypeAdapter

from services.inventory.allocation import Shortage
from services.inventory.catalogue import Product, ProductIdTaken, SkuTaken
from services.inventory.reservation import Reservation, State
from services.inventory.shelf import Movement, Shelf, Shelves
from shared.database import Row, Tx
from shared.events.fields import Allocation, OrderedLine
from shared.money import Money

# written as text: in a parameter of type jsonb[] a list would be taken for one more dimension
_lines = TypeAdapter(tuple[OrderedLine, ...])
_allocations = TypeAdapter(tuple[Allocation, ...])

_RESERVATION = "order_id, state, lines, collected, paid, cancelled, stays, allocations, shortage, expires_at"


async def lock_reservations(tx: Tx, order_ids: Collection[str]) -> dict[str, Reservation]:
    """What is known of these orders, by their id, locked; of which nothing is known yet gets a row, so that there is one to
    lock."""
    wanted = sorted(order_ids)
    rows = await tx.fetch(
        # first the new ones are made, then the others locked, each in the order of their ids
        f"""
        WITH made AS (
            INSERT INTO reservation (order_id, created_at, updated_at)
            SELECT order_id, $2, $2 FROM unnest($1::text[]) order_id
            ON CONFLICT ON CONSTRAINT reservation_is_one_an_order DO NOTHING RETURNING {_RESERVATION}
        ), known AS (
            SELECT {_RESERVATION} FROM reservation WHERE order_id = any($1::text[]) ORDER BY order_id FOR UPDATE
        )
        SELECT * FROM made UNION ALL SELECT * FROM known
        """,  # noqa: S608
        wanted,
        tx.now,
    )
    found = {row["order_id"]: reservation_of(row) for row in rows}
    # another transaction has made it meanwhile, and this statement could not see it yet. It is locked out of sequence then:
    # should that ever meet a third who holds it, Postgres ends one of the two, and its batch is handled again
    if len(found) < len(wanted):
        found |= await lock_reservations(tx, set(wanted) - found.keys())
    return found


async def claim_due(tx: Tx, limit: int) -> list[Reservation]:
    """Unpaid reservations whose time is over, the longest overdue first; those that somebody works on are left alone."""
    rows = await tx.fetch(
        # no ORDER BY order_id as elsewhere: who skips what is locked never waits, and so cannot deadlock here
        f"""
        SELECT {_RESERVATION} FROM reservation WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
        """,  # noqa: S608
        tx.now,
        limit,
    )
    return [reservation_of(row) for row in rows]


async def save(tx: Tx, reservations: Sequence[Reservation] = (), movements: Sequence[Movement] = ()) -> None:
    """Keep what is now known of these orders, write the ledger, and change the shelves, all by one statement; the orders
    and the shelves are locked."""
    if not reservations and not movements:
        return
    await tx.execute(
        """
        WITH saved AS (
            UPDATE reservation
               SET state = new.state, lines = new.lines::jsonb, collected = new.collected, paid = new.paid,
                   cancelled = new.cancelled, stays = new.stays, allocations = new.allocations::jsonb,
                   shortage = new.shortage::jsonb, expires_at = new.expires_at, updated_at = $1
              FROM unnest($2::text[], $3::text[], $4::text[], $5::boolean[], $6::boolean[], $7::boolean[], $8::boolean[],
                          $9::text[], $10::text[], $11::timestamptz[])
                   new (order_id, state, lines, collected, paid, cancelled, stays, allocations, shortage, expires_at)
             WHERE reservation.order_id = new.order_id
        ), moved AS (
            INSERT INTO movement (at, sku, location, order_id, kind, on_hand_change, reserved_change, reason)
            SELECT $1, * FROM unnest($12::text[], $13::text[], $14::text[], $15::text[], $16::bigint[], $17::bigint[],
                                     $18::text[])
            RETURNING sku, location, on_hand_change, reserved_change
        ), net AS (
            SELECT sku, location, sum(on_hand_change) AS on_hand, sum(reserved_change) AS reserved
              FROM moved GROUP BY sku, location
        )
        UPDATE shelf SET on_hand = shelf.on_hand + net.on_hand, reserved = shelf.reserved + net.reserved
          FROM net WHERE shelf.sku = net.sku AND shelf.location = net.location
        """,
        tx.now,
        [each.order_id for each in reservations],
        [each.state for each in reservations],
        [_lines.dump_json(each.lines).decode() for each in reservations],
        [each.collected for each in reservations],
        [each.paid for each in reservations],
        [each.cancelled for each in reservations],
        [each.stays for each in reservations],
        [_allocations.dump_json(each.allocations).decode() for each in reservations],
        [_shortage_json(each.shortage) for each in reservations],
        [each.expires_at for each in reservations],
        [each.sku for each in movements],
        [each.location for each in movements],
        [each.order_id for each in movements],
        [each.kind for each in movements],
        [each.on_hand_change for each in movements],
        [each.reserved_change for each in movements],
        [each.reason for each in movements],
    )


async def lock_shelves(tx: Tx, skus: Collection[str]) -> Shelves:
    """All shelves of these products, in the one sequence in which shelves are locked."""
    if not skus:
        return Shelves({})
    rows = await tx.fetch(
        """
        SELECT shelf.sku, location, on_hand, reserved, low_stock_threshold AS threshold
          FROM shelf JOIN product ON product.sku = shelf.sku
         WHERE shelf.sku = any($1::text[]) ORDER BY shelf.sku, location FOR UPDATE OF shelf
        """,
        sorted(skus),
    )
    return Shelves.of((row["sku"], row["threshold"], Shelf(row["location"], row["on_hand"], row["reserved"])) for row in rows)


async def stand_shelf(tx: Tx, sku: str, location: str) -> None:
    """An empty shelf for the product there, unless there is one; none for a SKU that no product has."""
    await tx.execute(
        """
        INSERT INTO shelf (sku, location) SELECT sku, $2 FROM product WHERE sku = $1
        ON CONFLICT ON CONSTRAINT shelf_stands_once DO NOTHING
        """,
        sku,
        location,
    )


async def draw_product_id(tx: Tx) -> int:
    """The next id that no product has; callers may have given some of them."""
    drawn: int = await tx.fetchval(
        """
        WITH RECURSIVE drawn (id) AS (
            SELECT nextval('product_id')
            UNION ALL
            SELECT nextval('product_id') FROM drawn WHERE EXISTS (SELECT FROM product WHERE product.id = drawn.id)
        )
        SELECT max(id) FROM drawn
        """
    )
    return drawn


async def add_product(tx: Tx, product: Product) -> None:
    """Put a new product into the catalogue. Raises SkuTaken or ProductIdTaken."""
    try:
        await tx.execute(
            """
            INSERT INTO product (id, sku, name, price_minor, currency, category, tags, low_stock_threshold, revision,
                                 created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
            """,
            product.id,
            product.sku,
            product.name,
            product.price.amount,
            product.price.currency,
            product.category,
            product.tags,
            product.low_stock_threshold,
            product.revision,
            tx.now,
        )
    except asyncpg.UniqueViolationError as error:
        match error.constraint_name:
            case "product_sku_is_unique":
                raise SkuTaken(product.sku) from error
            case "product_id_is_unique":
                raise ProductIdTaken(product.id) from error
        raise


async def lock_product(tx: Tx, product_id: int) -> Product | None:
    """The product as it stands; None when there is none, or no more."""
    row = await tx.fetchrow(
        """
        SELECT id, sku, name, price_minor, currency, category, tags, low_stock_threshold, revision
          FROM product WHERE id = $1 AND deleted_at IS NULL FOR UPDATE
        """,
        product_id,
    )
    if row is None:
        return None
    price = Money(amount=row["price_minor"], currency=row["currency"])
    return Product(
        id=row["id"],
        sku=row["sku"],
        name=row["name"],
        price=price,
        category=row["category"],
        tags=tuple(row["tags"]),
        low_stock_threshold=row["low_stock_threshold"],
        revision=row["revision"],
    )


async def save_product(tx: Tx, product: Product) -> None:
    """Keep the changed product; it is locked."""
    await tx.execute(
        """
        UPDATE product
           SET name = $2, price_minor = $3, currency = $4, category = $5, tags = $6, low_stock_threshold = $7,
               revision = $8, updated_at = $9, deleted_at = CASE WHEN $10 THEN $9::timestamptz END
         WHERE id = $1
        """,
        product.id,
        product.name,
        product.price.amount,
        product.price.currency,
        product.category,
        product.tags,
        product.low_stock_threshold,
        product.revision,
        tx.now,
        product.deleted,
    )


def reservation_of(row: Row) -> Reservation:
    """The noun a row stands for."""
    state = State(row["state"])
    return Reservation(
        order_id=row["order_id"],
        lines=_lines.validate_python(row["lines"]),
        collected=row["collected"],
        paid=row["paid"],
        cancelled=row["cancelled"],
        stays=row["stays"],
        expired=state is State.EXPIRED,
        allocations=_allocations.validate_python(row["allocations"]),
        deducted=state is State.COMMITTED,
        shortage=_shortage(row["shortage"]),
        expires_at=row["expires_at"],
    )


def _shortage_json(shortage: Shortage | None) -> str | None:
    if shortage is None:
        return None
    missing = orjson.Fragment(_lines.dump_json(shortage.missing))
    return orjson.dumps({"reason": shortage.reason, "missing": missing}).decode()


def _shortage(stored: dict[str, Any] | None) -> Shortage | None:
    if stored is None:
        return None
    return Shortage(stored["reason"], _lines.validate_python(stored["missing"]))
