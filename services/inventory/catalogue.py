"""The catalogue: what is sold, under which name and at which price."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from shared.events.products import ProductChanged, ProductCreated, ProductDeleted
from shared.money import Money, to_major, to_minor
from shared.problems import Conflict, NotFound, Unprocessable


@dataclass(frozen=True, slots=True)
class Product:
    """What is sold. Its revision grows with every change, so that who hears of changes keeps the newest."""

    id: int
    sku: str
    name: str
    price: Money
    category: str
    tags: tuple[str, ...]
    low_stock_threshold: int
    revision: int = 1
    deleted: bool = False

    def created(self) -> ProductCreated:
        """It can be sold."""
        return ProductCreated(product_id=self.id, sku=self.sku, name=self.name, price=self.price, revision=self.revision)

    def changed(self) -> ProductChanged:
        """It is not what it was."""
        return ProductChanged(product_id=self.id, sku=self.sku, name=self.name, price=self.price, revision=self.revision)

    def gone(self) -> ProductDeleted:
        """It is sold no longer."""
        return ProductDeleted(product_id=self.id, sku=self.sku, name=self.name, price=self.price, revision=self.revision)


class SkuTaken(Conflict):
    """A SKU names one product for ever: shelves and orders refer to it, also after the product is deleted."""

    def __init__(self, sku: str) -> None:
        super().__init__(f"another product has, or had, the SKU {sku}", sku=sku)


class ProductIdTaken(Conflict):
    """Another product has the id."""

    def __init__(self, product_id: int) -> None:
        super().__init__(f"another product has, or had, the id {product_id}", id=product_id)


class NoSuchProduct(NotFound):
    """It never was, or is sold no longer."""

    def __init__(self, product_id: int) -> None:
        super().__init__(f"there is no product {product_id}", id=product_id)


def price_of(amount: Decimal, currency: str) -> Money:
    """299.5 CNY is 29950 fen. Raises Unprocessable for a fraction that the currency does not have."""
    try:
        return Money(amount=to_minor(amount, currency), currency=currency)
    except ValueError as error:
        raise Unprocessable(f"price: {error}", errors=[{"where": "body.price", "what": str(error)}]) from error


def displayed(price: Money) -> int | float:
    """The price as a JSON number in major units: 299, 299.5."""
    major = to_major(price.amount, price.currency)
    return int(major) if major == major.to_integral_value() else float(major)


def distinct(tags: Sequence[str]) -> tuple[str, ...]:
    """Each tag once, in the sequence in which they were given."""
    return tuple(dict.fromkeys(tags))


def change(
    product: Product,
    *,
    name: str | None = None,
    price: Decimal | None = None,
    currency: str | None = None,
    category: str | None = None,
    tags: Sequence[str] | None = None,
    low_stock_threshold: int | None = None,
) -> Product:
    """The product with what was said of it; the rest stays. Saying what is so already makes no new revision."""
    if currency is not None and currency != product.price.currency and price is None:
        what = f"a price in {product.price.currency} says nothing in {currency}: give the price as well"
        raise Unprocessable(what, errors=[{"where": "body.currency", "what": what}])
    after = replace(
        product,
        name=product.name if name is None else name,
        price=product.price if price is None else price_of(price, currency or product.price.currency),
        category=product.category if category is None else category,
        tags=product.tags if tags is None else distinct(tags),
        low_stock_threshold=product.low_stock_threshold if low_stock_threshold is None else low_stock_threshold,
    )
    return product if after == product else replace(after, revision=product.revision + 1)


def delete(product: Product) -> Product:
    """Sold no longer; its stock and the orders placed for it stand."""
    return replace(product, deleted=True, revision=product.revision + 1)
