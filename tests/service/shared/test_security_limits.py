"""Rate limits on a real Redis, seen through a small API; and what happens when it is gone."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter
from pydantic import SecretStr
from redis.asyncio import Redis

from deploy.stack.servers import Servers
from shared import limits, metrics
from shared.auth import Principal
from shared.http import Transactional, application
from shared.limits import Limiter, of_address, of_token
from shared.problems import TooManyRequests, Unauthenticated
from shared.settings import Settings


def some_settings(redis_url: str | None, per_minute: int) -> Settings:
    return Settings(
        postgres_url=SecretStr("postgresql://"),
        rabbitmq_url=SecretStr("amqp://"),
        redis_url=SecretStr(redis_url) if redis_url else None,
        auth_jwks="",
        rate_limit_per_minute=per_minute,
    )


@asynccontextmanager
async def a_limiter(url: str | None, per_minute: int) -> AsyncIterator[Limiter]:
    async with limits.limiter(some_settings(url, per_minute)) as limiter:
        yield limiter


async def spend(limiter: Limiter, caller: str, times: int) -> int:
    """How many of so many requests are let in."""
    answers = await asyncio.gather(*(limiter.spend(caller) for _ in range(times)), return_exceptions=True)
    assert all(isinstance(answer, dict | TooManyRequests) for answer in answers), answers
    return sum(isinstance(answer, dict) for answer in answers)


@pytest.mark.parametrize("per_minute", [5, 6000])
async def test_a_caller_gets_its_allowance_and_no_more_whichever_process_it_asks(servers: Servers, per_minute: int) -> None:
    caller, started = uuid4().hex, time.monotonic()
    async with a_limiter(servers.redis.url, per_minute) as one, a_limiter(servers.redis.url, per_minute) as other:
        let_in = await spend(one, caller, per_minute) + await spend(other, caller, per_minute)
        # some come back meanwhile
        assert per_minute <= let_in <= per_minute * (1 + (time.monotonic() - started) / 60) + 1
        assert await spend(one, uuid4().hex, 3) == 3


async def test_one_who_waits_is_let_in_again(servers: Servers) -> None:
    caller = uuid4().hex
    async with a_limiter(servers.redis.url, 60) as limiter:
        assert await spend(limiter, caller, 60) == 60
        with pytest.raises(TooManyRequests) as refused:
            await limiter.spend(caller)
        assert refused.value.headers == {"retry-after": "1"}
        await asyncio.sleep(1.1)
        assert (await limiter.spend(caller))["ratelimit"] == '"default";r=0;t=60'


async def test_most_requests_ask_redis_nothing(servers: Servers) -> None:
    asked = 0
    redis = Redis.from_url(servers.redis.url)
    limiter = Limiter(redis, 300_000)
    take = limiter._take
    assert take is not None

    async def counted(**arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        return await take(**arguments)

    limiter._take = counted  # type: ignore[assignment]
    for _ in range(1000):
        await limiter.spend("busy")
    await redis.aclose()
    assert asked <= 20


async def test_a_flood_of_strangers_takes_nobody_the_handful_it_has(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REMEMBERED", 3)
    async with a_limiter(servers.redis.url, 300_000) as limiter:
        await limiter.spend("shop")
        purse = limiter._purse("shop")
        for n in range(10):
            await limiter.spend(f"stranger {n}")
            await limiter.spend("shop")
        assert limiter._purse("shop") is purse
        assert len(limiter._purses) == 3


async def test_without_redis_nothing_is_limited_and_it_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    before = metrics.rate_limit_failures._value.get()
    async with a_limiter("redis://127.0.0.1:1", 1) as limiter, a_limiter(None, 1) as none:
        for each in (limiter, none):
            assert await spend(each, "anybody", 50) == 50
        limiter._silent_until = 0
        assert await spend(limiter, "anybody", 50) == 50
    assert metrics.rate_limit_failures._value.get() >= before + 2
    assert capsys.readouterr().out.count("rates are not limited") == 1


async def test_a_redis_that_hangs_holds_nobody_up_for_long() -> None:
    async def says_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)
        writer.close()

    server = await asyncio.start_server(says_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with a_limiter(f"redis://127.0.0.1:{port}", 1) as limiter:
        async with asyncio.timeout(2):
            for n in range(50):
                assert await limiter.spend(f"caller {n}") == {}
    server.close()


def test_one_network_is_one_client() -> None:
    assert of_address("2001:db8:1:2:3:4:5:6") == of_address("2001:db8:1:2::1") == "address:2001:db8:1:2::"
    assert of_address("::ffff:10.0.0.1") == of_address("10.0.0.1") == "address:10.0.0.1"
    assert of_address(None) == "address:unknown"
    assert of_token("10.0.0.1") != of_address("10.0.0.1")


class _Tokens:
    """The token is the caller's name; `bad` is none."""

    async def authenticate(self, authorization: str | None) -> Principal | None:
        if authorization == "bad":
            raise Unauthenticated("no")
        return Principal(authorization, frozenset(), 0) if authorization else None


@pytest.fixture
async def client(servers: Servers) -> AsyncIterator[httpx.AsyncClient]:
    router = APIRouter(route_class=Transactional)

    @router.get("/things")
    async def things() -> str:
        return "here"

    app = application("t", "t", None)
    app.include_router(router)
    address = f"10.{uuid4().int % 250}.{uuid4().int % 250}.1"
    async with a_limiter(servers.redis.url, 3) as limiter:
        app.state.limiter, app.state.authenticator = limiter, _Tokens()
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            yield client


async def test_the_answer_says_what_is_left_and_when_to_come_again(client: httpx.AsyncClient) -> None:
    me = {"authorization": uuid4().hex}

    answers = [await client.get("/things", headers=me) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"default";q=3;w=60'
    assert answers[0].headers["ratelimit"].startswith('"default";r=2;t=')
    refused = answers[3]
    assert refused.headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert (await client.get("/things", headers={"authorization": uuid4().hex})).status_code == 200


async def test_who_has_no_token_or_a_wrong_one_is_counted_by_address(client: httpx.AsyncClient) -> None:
    answers = [await client.get("/things", headers={"authorization": "bad"}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [401] * 3
    assert (await client.get("/things")).status_code == 429
    assert (await client.get("/things", headers={"authorization": "bad"})).status_code == 429
    assert (await client.get("/things", headers={"authorization": uuid4().hex})).status_code == 200
