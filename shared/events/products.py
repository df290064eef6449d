"""What inventory says of the catalogue. Each carries the whole product, and a version that grows with every change,
so that a consumer keeps the newest whatever the sequence in which they come."""

from typing import Annotated

from pydantic import Field

from shared.events.event import Event
from shared.events.fields import Sku
from shared.money import Money


class Product(Event):
    """The product as it stands after the change."""

    product_id: int
    sku: Sku
    name: Annotated[str, Field(max_length=200)]
    price: Money
    revision: Annotated[int, Field(ge=1)]


class ProductCreated(Product, type="product.created", subject="product_id"):
    """A product can be sold."""


class ProductChanged(Product, type="product.changed", subject="product_id"):
    """A product has another name or price."""


class ProductDeleted(Product, type="product.deleted", subject="product_id"):
    """A product is no longer sold; orders that were placed for it stand."""
