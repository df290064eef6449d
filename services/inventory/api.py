"""Inventory's HTTP API: the catalogue, for shoppers to read and the merchant to keep, and corrections of stock."""

from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Annotated
from unicodedata import normalize

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from services.inventory import catalogue, metrics, shelf, store, views
from services.inventory.catalogue import NoSuchProduct, Product
from services.inventory.settings import settings
from services.inventory.shelf import DEFAULT_LOCATION, Kind, Movement
from services.inventory.views import ProductDetails, ProductsPage
from shared import auth
from shared.events import Event
from shared.events.fields import Sku, text
from shared.http import Reader, Transactional, Tx
from shared.money import Currency
from shared.openapi import LOCATION

router = APIRouter(prefix="/api", route_class=Transactional)

MOST = 1_000_000_000
"""More pieces than any warehouse holds: a larger number is a slip of the finger."""


def _not_zero(quantity: int) -> int:
    if quantity == 0:
        raise ValueError("0 corrects nothing")
    return quantity


def _composed(words: object) -> object:
    """é is one character, as keyboards write it, and not e with an accent after it, as some files have it: a search compares
    characters."""
    return normalize("NFC", words) if isinstance(words, str) else words


Name = Annotated[str, text(200), BeforeValidator(_composed)]
Category = Annotated[str, text(200, 0), BeforeValidator(_composed)]
Tag = Annotated[str, text(50), BeforeValidator(_composed)]
Keyword = Annotated[str, text(100, 0), BeforeValidator(_composed), Query()]
Tags = Annotated[list[Tag], Field(max_length=50)]
Why = Annotated[str, text(500)]
Location = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Price = Annotated[Decimal, Field(ge=0, le=10**12, max_digits=18, description="In the currency's major unit: 299, 299.5.")]
Threshold = Annotated[int, Field(ge=0, le=MOST, strict=True)]
# up to 2⁵³ - 1: what every JSON reader keeps exactly
ProductId = Annotated[int, Field(ge=1, le=2**53 - 1)]


class CreateProduct(BaseModel):
    """A product, and the pieces of it that are there. Without an id it gets one."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[ProductId, Field(strict=True)] | None = None
    sku: Sku
    name: Name
    price: Price
    currency: Currency
    stock: Annotated[int, Field(ge=0, le=MOST, strict=True)] = 0
    location: Location = DEFAULT_LOCATION
    category: Category = ""
    tags: Tags = []
    low_stock_threshold: Threshold | None = None


class ChangeProduct(BaseModel):
    """What is to be different; what is left out, or null, stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    price: Price | None = None
    currency: Currency | None = None
    category: Category | None = None
    tags: Tags | None = None
    low_stock_threshold: Threshold | None = None


class AdjustStock(BaseModel):
    """Pieces found, lost, delivered or broken: `quantity` is the difference, with its sign."""

    model_config = ConfigDict(extra="forbid")

    sku: Sku
    quantity: Annotated[int, Field(ge=-MOST, le=MOST, strict=True), AfterValidator(_not_zero)]
    reason: Why
    location: Location = DEFAULT_LOCATION


class ShelfView(BaseModel):
    """Pieces of one product in one location: `available` are those on hand that are not set aside for orders."""

    sku: str
    location: str
    on_hand: int
    reserved: int
    available: int


@router.get("/products", tags=["products"])
async def list_products(
    reader: Reader,
    keyword: Keyword = "",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=100)] = 20,
) -> ProductsPage:
    """Products whose name, SKU, category or a tag contains the keyword (all, without one), with what can be sold now."""
    return await views.search(reader, keyword, page, page_size)


@router.post(
    "/products",
    status_code=201,
    tags=["products"],
    dependencies=[auth.scope("products:write")],
    responses={201: LOCATION},
)
async def create_product(request: CreateProduct, response: Response, tx: Tx) -> ProductDetails:
    """Put a product into the catalogue, and its first pieces on a shelf."""
    threshold = request.low_stock_threshold
    product = Product(
        id=await store.draw_product_id(tx) if request.id is None else request.id,
        sku=request.sku,
        name=request.name,
        price=catalogue.price_of(request.price, request.currency),
        category=request.category,
        tags=catalogue.distinct(request.tags),
        low_stock_threshold=settings().inventory_low_stock_threshold if threshold is None else threshold,
    )
    await store.add_product(tx, product)
    await store.stand_shelf(tx, product.sku, request.location)
    if request.stock:
        first = Movement(product.sku, request.location, Kind.ADJUSTED, request.stock, reason="first pieces")
        await store.save(tx, movements=[first])
    tx.announce([product.created()])
    response.headers["location"] = f"/api/products/{product.id}"
    return await _details(tx, product.id)


@router.get("/products/{product_id}", tags=["products"])
async def get_product(product_id: Annotated[ProductId, Path()], reader: Reader) -> ProductDetails:
    """One product, with what can be sold of it now."""
    return await _details(reader, product_id)


@router.patch("/products/{product_id}", tags=["products"], dependencies=[auth.scope("products:write")])
async def change_product(product_id: Annotated[ProductId, Path()], request: ChangeProduct, tx: Tx) -> ProductDetails:
    """Change a product's name, price, category, tags or threshold; orders that were placed keep their price."""
    before = await _locked(tx, product_id)
    after = catalogue.change(before, **request.model_dump(exclude_none=True))
    if after != before:
        said: list[Event] = [after.changed()]
        if after.low_stock_threshold > before.low_stock_threshold:
            shelves = await store.lock_shelves(tx, [after.sku])
            said += shelf.low(shelves, shelves.with_threshold(after.sku, after.low_stock_threshold))
        await store.save_product(tx, after)
        _announce(tx, said)
    return await _details(tx, product_id)


@router.delete("/products/{product_id}", status_code=204, tags=["products"], dependencies=[auth.scope("products:write")])
async def delete_product(product_id: Annotated[ProductId, Path()], tx: Tx) -> None:
    """Take a product off sale; orders that were placed for it stand, and its SKU is not used again."""
    after = catalogue.delete(await _locked(tx, product_id))
    await store.save_product(tx, after)
    tx.announce([after.gone()])


@router.post("/stock/adjustments", status_code=201, tags=["stock"], dependencies=[auth.scope("stock:write")])
async def adjust_stock(request: AdjustStock, tx: Tx) -> ShelfView:
    """Correct the pieces on hand by a signed quantity; pieces that are set aside for orders cannot be taken away."""
    await store.stand_shelf(tx, request.sku, request.location)
    shelves = await store.lock_shelves(tx, [request.sku])
    movement = shelf.adjust(shelves, request.sku, request.location, request.quantity, request.reason)
    await store.save(tx, movements=[movement])
    _announce(tx, shelf.adjusted(shelves, movement))
    place = shelves.after([movement])[request.sku].at(request.location)
    return ShelfView(
        sku=request.sku,
        location=place.location,
        on_hand=place.on_hand,
        reserved=place.reserved,
        available=place.available,
    )


def _announce(tx: Tx, events: Sequence[Event]) -> None:
    tx.announce(events)
    tx.once_committed(partial(metrics.count, events))


async def _locked(tx: Tx, product_id: int) -> Product:
    product = await store.lock_product(tx, product_id)
    if product is None:
        raise NoSuchProduct(product_id)
    return product


async def _details(reader: Reader, product_id: int) -> ProductDetails:
    details = await views.product(reader, product_id)
    if details is None:
        raise NoSuchProduct(product_id)
    return details
