"""What inventory shows: reads for HTTP, and for the metrics."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from services.inventory.catalogue import displayed
from shared.database import Reader, Row
from shared.money import Money

COUNTED = 1_000
"""Matches are counted up to so many: counting a hundred thousand would cost more than showing them."""


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


async def search(reader: Reader, keyword: str, page: int, page_size: int) -> ProductsPage:
    """Products whose name, SKU, category or a tag contains the keyword, by id."""
    total = await _count(reader, keyword)
    # a rare keyword is looked up; with a frequent one a page is soon full of what is met on the way
    looked_up = [keyword] if keyword and total < COUNTED else []
    rows = await reader.fetch(
        f"""
        SELECT id, sku, name, price_minor, currency, stock
          FROM (SELECT id, sku, name, price_minor, currency FROM product
                 WHERE deleted_at IS NULL AND words LIKE lower($1) {LOOKED_UP.format(4) if looked_up else ""}
                 ORDER BY id LIMIT $2 OFFSET $3) found,
               LATERAL (SELECT coalesce(sum(on_hand - reserved), 0)::bigint AS stock
                          FROM shelf WHERE shelf.sku = found.sku) available
         ORDER BY id
        """,  # noqa: S608 -- a literal, or nothing
        _anywhere(keyword),
        page_size,
        (page - 1) * page_size,
        *looked_up,
    )
    products = [ProductView(**_shown(row)) for row in rows]
    return ProductsPage(products=products, page=page, page_size=page_size, total=total)


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
