"""A system that was let in has over HTTP the rights it has over AMQP, loses them as soon, and is refused everything else."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from deploy.cli import systems
from deploy.stack.credentials import SERVICES
from tests.builders import a_paid_order
from tests.journeys.shop import Shop
from tests.plain_http import PLAIN

SOURCE = "/shops/jd-7"

Administrator = Callable[..., str]


@pytest.fixture(scope="module")
def administrator(running: Path) -> Iterator[Administrator]:
    """Who types `./orderbus systems …`."""

    def type_in(*arguments: str) -> str:
        answer = CliRunner().invoke(systems.app, arguments)
        assert answer.exit_code == 0, answer.output
        return answer.stdout.strip()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(systems, "_keys", lambda: running / "keys")
        yield type_in


@pytest.fixture(scope="module")
def token(administrator: Administrator) -> Iterator[str]:
    """A shop's, which may publish order.paid."""
    administrator("add", "jd-8", "--source", "/shops/jd-8", "--publishes", "order.paid")
    yield administrator("token", "jd-8")
    administrator("remove", "jd-8")


async def ask(method: str, url: str, token: str, **more: Any) -> int:
    """The status that whoever has the token gets; once its key is read, which takes seconds."""
    async with httpx.AsyncClient(
        verify=PLAIN, trust_env=False, headers={"authorization": f"Bearer {token}"}, timeout=30
    ) as client:
        async with asyncio.timeout(10):
            while (answer := await client.request(method, url, **more)).status_code == 401:
                await asyncio.sleep(0.02)
    return answer.status_code


def event(source: str, type: str, order_id: str) -> dict[str, Any]:
    data = a_paid_order(order_id=order_id).model_dump(mode="json", exclude_none=True)
    told = {"specversion": "1.0", "id": order_id, "source": source, "type": type, "data": data}
    return {"content": json.dumps(told), "headers": {"content-type": "application/cloudevents+json"}}


MINE = "/shops/jd-8"
DECISION = {"json": {"all": True, "why": "because", "dry_run": True}}
NEW = {"json": {"sku": "NONE", "name": "x", "price": 1, "currency": "CNY"}}
Deed = tuple[int, str, str, str, dict[str, Any]]
NOT_FOR_A_SHOP: dict[str, Deed] = {
    "speak as another shop": (403, "POST", "orders", "events", event("/shops/other", "order.paid", "T-never")),
    "speak as one of our services": (403, "POST", "orders", "events", event("/orderbus/orders", "order.paid", "T-never")),
    "publish a type that it was not given": (403, "POST", "orders", "events", event(MINE, "order.submitted", "T-never")),
    "publish a type that only we say": (422, "POST", "orders", "events", event(MINE, "order.completed", "T-never")),
    "read another's order": (404, "GET", "orders", "orders/{theirs}", {}),
    "read its timeline": (404, "GET", "orders", "orders/{theirs}/timeline", {}),
    "read payments": (403, "GET", "payments", "payments?order_id={theirs}", {}),
    "read parcels": (403, "GET", "logistics", "shipments?order_id={theirs}", {}),
    "cancel another's order": (404, "POST", "orders", "orders/{theirs}/cancel", {}),
    "pass a held order": (403, "POST", "orders", "orders/{theirs}/release", {}),
    "give money back": (403, "POST", "orders", "orders/{theirs}/refunds", {}),
    "put a product on sale": (403, "POST", "inventory", "products", NEW),
    "change a price": (403, "PATCH", "inventory", "products/1", {"json": {"price": 1}}),
    "take a product off sale": (403, "DELETE", "inventory", "products/1", {}),
    "correct stock": (403, "POST", "inventory", "stock/adjustments", {"json": {"sku": "NONE", "quantity": 1, "reason": "x"}}),
    **{f"read the dead letters of {name}": (403, "GET", name, "dead-letters", {}) for name in SERVICES},
    **{f"replay the dead letters of {name}": (403, "POST", name, "dead-letters/replay", DECISION) for name in SERVICES},
    **{f"discard the dead letters of {name}": (403, "POST", name, "dead-letters/discard", DECISION) for name in SERVICES},
}


@pytest.mark.parametrize("deed", NOT_FOR_A_SHOP.values(), ids=NOT_FOR_A_SHOP)
async def test_a_shop_cannot_over_http(deed: Deed, shop: Shop, token: str, sku: str) -> None:
    expected, method, service, path, more = deed
    if "{theirs}" in path:
        await shop.sell(sku)
        path = path.format(theirs=await shop.order(sku))

    assert await ask(method, f"{shop.url(service)}/api/{path}", token, **more) == expected


async def until_it_opens_nothing(shop: Shop, token: str) -> None:
    async with httpx.AsyncClient(verify=PLAIN, trust_env=False, headers={"authorization": f"Bearer {token}"}) as client:
        for service in SERVICES:
            while (await client.get(f"{shop.url(service)}/api/dead-letters")).status_code != 401:
                await asyncio.sleep(0.02)


async def test_a_system_says_over_http_what_it_may_say_over_amqp_until_that_changes_or_it_is_removed(
    shop: Shop, administrator: Administrator, order_id: str
) -> None:
    async def at_the_desk(*arguments: str) -> str:
        return await asyncio.to_thread(administrator, *arguments)

    url = f"{shop.url('orders')}/api/events"
    await at_the_desk("add", "jd-7", "--source", SOURCE, "--publishes", "order.paid")
    token = await at_the_desk("token", "jd-7")
    assert await ask("POST", url, token, **event(SOURCE, "order.paid", order_id)) == 202
    assert await ask("POST", url, token, **event(SOURCE, "order.submitted", order_id)) == 403

    told = await at_the_desk("add", "jd-7", "--source", SOURCE, "--publishes", "order.submitted")
    assert "open nothing any more" in told
    await until_it_opens_nothing(shop, token)
    other = await at_the_desk("token", "jd-7")
    assert await ask("POST", url, other, **event(SOURCE, "order.submitted", order_id)) == 202
    assert await ask("POST", url, other, **event(SOURCE, "order.paid", order_id)) == 403

    assert "is shut out, with the tokens" in await at_the_desk("remove", "jd-7")
    await until_it_opens_nothing(shop, other)
