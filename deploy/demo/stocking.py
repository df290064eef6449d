"""The sample catalogue is put into the shop, and its shelves are filled for the run."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.demo.catalogue import NOT_OURS, Article, catalogue
from deploy.demo.installation import Installation, Trouble, ask

PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Stocked:
    """What was done for the shop to be ready."""

    articles: int
    created: int
    pieces: int


async def stock(shop: Installation, kept: Mapping[str, int]) -> Stocked:
    """Create what is missing and bring in what the run will keep (`kept`, by SKU), so that the shelves end as they began:
    each run can be the second one, and two may run at once. Returns when orders knows every price. Raises Trouble."""
    created = sum(await asyncio.gather(*(_create(shop, article) for article in catalogue().values())))
    pieces = await asyncio.gather(*(_fill(shop, article, kept.get(article.sku, 0)) for article in catalogue().values()))
    await _until_priced(shop)
    return Stocked(len(catalogue()), created, sum(pieces))


async def _create(shop: Installation, article: Article) -> bool:
    known = await ask(shop.inventory, "GET", f"/api/products/{article.id}", allowed=(404,))
    if known.status_code == 404:
        made = await ask(shop.inventory, "POST", "/api/products", article.product, allowed=(409,))
        if made.status_code == 201:
            return True
        known = await ask(shop.inventory, "GET", f"/api/products/{article.id}", allowed=(404,))
    if known.status_code == 404 or known.json()["sku"] != article.sku:
        raise Trouble(f"the demo sells {article.sku} as product {article.id}; here that id or SKU is, or was, another's")
    return False


async def _fill(shop: Installation, article: Article, kept: int) -> int:
    if article.stock == 0:
        return 0
    there = (await ask(shop.inventory, "GET", f"/api/products/{article.id}")).json()["stock"]
    quantity = max(0, article.stock - there) + kept
    if quantity:
        delivery = {"sku": article.sku, "quantity": quantity, "reason": "delivered for the demo"}
        await ask(shop.inventory, "POST", "/api/stock/adjustments", delivery)
    return int(quantity)


async def _until_priced(shop: Installation) -> None:
    """Orders keeps its own price list, by product events. A basket of everything with one more article that nobody knows
    is refused for the first article that has no price yet; in the end for that last one, so nothing is ever ordered."""
    skus = [*catalogue(), NOT_OURS]
    basket = {
        "currency": "CNY",
        "customer": {"name": "demo"},
        "ship_to": {"name": "demo", "country": "CN", "city": "杭州市", "line1": "demo"},
        "lines": [{"sku": sku, "quantity": 1} for sku in skus],
        "payment": {"channel": "invoice"},
    }
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        refusal = await ask(shop.orders, "POST", "/api/orders", basket, allowed=(422,))
        line = refusal.json()["line"]
        if line == len(skus) - 1:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise Trouble(f"orders has not learned the price of {skus[line]} within {PATIENCE:.0f} s")
        await asyncio.sleep(0.05)
