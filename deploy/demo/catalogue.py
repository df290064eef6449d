"""What the sample shop sells. Each entry of catalogue.json is a body of `POST /api/products`."""

import json
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from shared.money import to_minor

FILE = Path(__file__).with_name("catalogue.json")

EMPTY_SHELF = "VN-1037"
"""The article of which there never is a piece."""

DEAREST = "PJ-1010"
"""Six of it are above the sum from which a person looks at a payment."""

NOT_OURS = "XX-0000"
"""A SKU that nobody sells."""


@dataclass(frozen=True, slots=True)
class Article:
    """An article, its price in minor units, and the pieces of it that the shop likes to have."""

    id: int
    sku: str
    price: int
    currency: str
    stock: int
    product: dict[str, Any]


@cache
def catalogue() -> dict[str, Article]:
    """Every article, by SKU."""
    articles = [_article(product) for product in json.loads(FILE.read_text(encoding="utf-8"))]
    return {article.sku: article for article in articles}


def _article(product: dict[str, Any]) -> Article:
    currency: str = product["currency"]
    price = to_minor(Decimal(str(product["price"])), currency)
    return Article(product["id"], product["sku"], price, currency, product["stock"], product)
