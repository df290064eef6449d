"""What inventory shows: reads for HTTP, and for the metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from cachetools import LRUCache
from pydantic import BaseModel, Field

from services.inventory.catalogue import displayed
from shared.database import Reader, Row
from shared.money import Money

COUNTED = 1_000
"""Matches are counted up to so many: counting a hundred thousand would cost more than showing them."""

REMEMBERED = 20_000
"""Products on pages that were searched for lately: some megabytes."""

LOOKED_UP = "AND grams(words) @> grams_of_keyword(lower(${}))"
"""Finds the few products with every pair of the keyword's characters; LIKE then says which have them in sequence."""


class ProductView(BaseModel):
    """A product as a shopper sees it. `price` is in the currency's major unit; `stock` is what can be sold now."""

    id: int
    sku: str
    name: str
    price: Annotated[int | float, Field(examples=[299, 299.5])]
    currency: str
    stock: int


class ProductsPage(BaseModel):
    """Some of the products that match; `total` is how many match, 1,000 standing for as many or more."""

    products: list[ProductView]
    page: int
    page_size: int
    total: int


class ProductDetails(ProductView):
    """A product as the merchant keeps it."""

    category: str
    tags: list[str]
    low_stock_threshold: int
    revision: int


@dataclass(frozen=True, slots=True)
class _Found:
    """A page of what matches a keyword, as the catalogue stood at a version of it."""

    version: UUID
    products: Sequence[Row]
    total: int


_found: LRUCache[tuple[str, int, int], _Found] = LRUCache(REMEMBERED, getsizeof=lambda found: 1 + len(found.products))
"""What was searched for lately. It is asked for its version before it is shown, so there is nothing to forget in time."""


async def search(reader: Reader, keyword: str, page: int, page_size: int) -> ProductsPage:
    """Products whose name, SKU, category or a tag contains the keyword, by id."""
    asked = keyword, page, page_size
    found = _found.get(asked)
    version, stock = await _on_the_shelves(reader, found)
    if found is None or found.version != version:
        # the version is older than what is read after it: should that have changed since, it is read again the next time
        found = _found[asked] = await _find(reader, version, keyword, page, page_size)
        _, stock = await _on_the_shelves(reader, found)
    products = [ProductView(**_shown(row), stock=stock.get(row["sku"], 0)) for row in found.products]
    return ProductsPage(products=products, page=page, page_size=page_size, total=found.total)


async def _on_the_shelves(reader: Reader, found: _Found | None) -> tuple[UUID, dict[str, int]]:
    """The catalogue's version, and what can be sold of what was found."""
    rows = await reader.fetch(
        """
        SELECT version, sku, sum(on_hand - reserved)::bigint AS stock
          FROM catalogue_version LEFT JOIN shelf ON sku = any($1::text[]) GROUP BY version, sku
        """,
        [row["sku"] for row in found.products] if found else [],
    )
    return rows[0]["version"], {row["sku"]: row["stock"] for row in rows}


async def _find(reader: Reader, version: UUID, keyword: str, page: int, page_size: int) -> _Found:
    total = await _count(reader, keyword)
    # a rare keyword is looked up; with a frequent one a page is soon full of what is met on the way
    looked_up = [keyword] if keyword and total < COUNTED else []
    rows = await reader.fetch(
        f"""
        SELECT id, sku, name, price_minor, currency FROM product
         WHERE deleted_at IS NULL AND words LIKE lower($1) {LOOKED_UP.format(4) if looked_up else ""}
         ORDER BY id LIMIT $2 OFFSET $3
        """,  # noqa: S608 -- a literal, or nothing
        _anywhere(keyword),
        page_size,
        (page - 1) * page_size,
        *looked_up,
    )
    return _Found(version, rows, total)


async def _count(reader: Reader, keyword: str) -> int:
    looked_up = [keyword] if keyword else []
    count: int = await reader.fetchval(
        f"""
        SELECT count(*) FROM (SELECT FROM product
                               WHERE deleted_at IS NULL AND words LIKE lower($1) {LOOKED_UP.format(3) if looked_up else ""}
                               LIMIT $2) counted
        """,  # noqa: S608 -- a literal, or nothing
        _anywhere(keyword),
        COUNTED,
        *looked_up,
    )
    return count


async def product(reader: Reader, product_id: int) -> ProductDetails | None:
    """One product; None when there is none, or no more."""
    row = await reader.fetchrow(
        """
        SELECT id, sku, name, price_minor, currency, category, tags, low_stock_threshold, revision,
               (SELECT coalesce(sum(on_hand - reserved), 0)::bigint FROM shelf WHERE shelf.sku = product.sku) AS stock
          FROM product WHERE id = $1 AND deleted_at IS NULL
        """,
        product_id,
    )
    return ProductDetails(**_shown(row)) if row else None


def _shown(row: Row) -> dict[str, object]:
    price = Money(amount=row["price_minor"], currency=row["currency"])
    return {**row, "price": displayed(price)}


def _anywhere(keyword: str) -> str:
    """A pattern for LIKE that takes the keyword literally: 100% is not a wildcard."""
    literal = keyword.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{literal}%"


async def overdue_to_expire(reader: Reader, late: timedelta) -> int:
    """Reservations that should have expired so long ago."""
    count: int = await reader.fetchval("SELECT count(*) FROM reservation WHERE expires_at < now() - $1::interval", late)
    return count
