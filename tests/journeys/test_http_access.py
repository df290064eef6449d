"""A system that was let in has over HTTP the rights it has over AMQP, and loses them as soon."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from deploy.cli import systems
from tests.builders import a_paid_order
from tests.journeys.shop import Shop

SOURCE = "/shops/jd-7"

Administrator = Callable[..., Awaitable[str]]


@pytest.fixture
def administrator(running: Path, monkeypatch: pytest.MonkeyPatch) -> Administrator:
    """Who types `./orderbus systems …`."""
    monkeypatch.setattr(systems, "_keys", lambda: running / "keys")

    async def type_in(*arguments: str) -> str:
        answer = await asyncio.to_thread(CliRunner().invoke, systems.app, arguments)
        assert answer.exit_code == 0, answer.output
        return answer.stdout.strip()

    return type_in


async def says(shop: Shop, token: str, type: str, order_id: str) -> int:
    """What orders answers to whoever publishes this with the token."""
    data = a_paid_order(order_id=order_id).model_dump(mode="json", exclude_none=True)
    event = {"specversion": "1.0", "id": order_id, "source": SOURCE, "type": type, "data": data}
    headers = {"authorization": f"Bearer {token}", "content-type": "application/cloudevents+json"}
    answer = await shop.client.post(f"{shop.url('orders')}/api/events", content=json.dumps(event), headers=headers)
    return answer.status_code


async def until_it_opens_nothing(shop: Shop, token: str) -> None:
    for service in ("orders", "payments", "logistics", "inventory"):
        path = f"{shop.url(service)}/api/dead-letters"
        while (await ask(path, token)) != 401:
            pass


async def ask(path: str, token: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(path, headers={"authorization": f"Bearer {token}"})).status_code


async def test_a_system_says_over_http_what_it_may_say_over_amqp_until_that_changes_or_it_is_removed(
    shop: Shop, administrator: Administrator, order_id: str
) -> None:
    await administrator("add", "jd-7", "--source", SOURCE, "--publishes", "order.paid")
    token = await administrator("token", "jd-7")
    while (answer := await says(shop, token, "order.paid", order_id)) == 401:  # its key is read within seconds
        pass
    assert answer == 202
    assert await says(shop, token, "order.submitted", order_id) == 403

    assert "open nothing any more" in await administrator("add", "jd-7", "--source", SOURCE, "--publishes", "order.submitted")
    await until_it_opens_nothing(shop, token)
    other = await administrator("token", "jd-7")
    while (answer := await says(shop, other, "order.submitted", order_id)) == 401:
        pass
    assert answer == 202
    assert await says(shop, other, "order.paid", order_id) == 403

    assert "is shut out, over HTTP too" in await administrator("remove", "jd-7")
    await until_it_opens_nothing(shop, other)
