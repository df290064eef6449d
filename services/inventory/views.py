"""What inventory shows: reads for HTTP."""

from typing import Annotated

from pydantic import BaseModel, Field

from services.inventory.catalogue import displayed
from shared.database import Reader, Row
from shared.money import Money


class ProductView(BaseModel):
    """A product as a shopper sees it. `price` is in the currency's major unit; `stock` is what can be sold now."""

    id: int
    sku: str
    name: str
    price: Annotated[int | float, Field(examples=[299, 299.5])]
    currency: str
    stock: int


class ProductsPage(BaseModel):
    """Some of the products that match; `total` is how many match."""

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
    pattern = f"%{_literal(keyword)}%"
    rows = await reader.fetch(
        """
        SELECT id, sku, name, price_minor, currency, stock
          FROM (SELECT id, sku, name, price_minor, currency FROM product
                 WHERE deleted_at IS NULL
                   AND (name ILIKE $1 OR sku ILIKE $1 OR category ILIKE $1
                        OR EXISTS (SELECT FROM unnest(tags) tag WHERE tag ILIKE $1))
                 ORDER BY id LIMIT $2 OFFSET $3) found,
               LATERAL (SELECT coalesce(sum(on_hand - reserved), 0)::bigint AS stock
                          FROM shelf WHERE shelf.sku = found.sku) available
         ORDER BY id
        """,
        pattern,
        page_size,
        (page - 1) * page_size,
    )
    products = [ProductView(**_shown(row)) for row in rows]
    return ProductsPage(products=products, page=page, page_size=page_size, total=await _count(reader, pattern))


async def _count(reader: Reader, pattern: str) -> int:
    count: int = await reader.fetchval(
        """
        SELECT count(*) FROM product
         WHERE deleted_at IS NULL
           AND (name ILIKE $1 OR sku ILIKE $1 OR category ILIKE $1
                OR EXISTS (SELECT FROM unnest(tags) tag WHERE tag ILIKE $1))
        """,
        pattern,
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


def _literal(keyword: str) -> str:
    """The keyword as LIKE takes it literally: 100% is not a wildcard."""
    return keyword.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
