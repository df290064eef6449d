"""Rate limits: a bucket of tokens in Redis for each caller, shared by every process of the four services.

A process takes a handful at a time and spends it on the caller's next requests, so that most requests ask nobody. With
Redis gone, or not set, nothing is limited.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any

import structlog
from cachetools import LRUCache
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared import metrics
from shared.problems import TooManyRequests
from shared.settings import Settings

log = structlog.get_logger()

WINDOW = 60
"""Seconds: what a caller may ask in them is also what it may ask at once."""

HANDFUL = 100
HELD_FOR = 1.0
"""Seconds after which what was taken and not spent is given up."""

PATIENCE = 0.25
LEFT_ALONE_FOR = 5.0
"""Seconds that a Redis which did not answer is not asked again."""

REMEMBERED = 10_000
"""Callers; who has asked for nothing the longest is forgotten first, so that a flood of addresses takes nobody's purse."""

_TAKE = """
local capacity, per_ms, wanted = tonumber(ARGV[1]), tonumber(ARGV[1]) / tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'left', 'at')
local left, at = tonumber(known[1]) or capacity, tonumber(known[2]) or now
left = math.min(capacity, left + math.max(0, now - at) * per_ms)
local given = math.min(wanted, math.floor(left))
left = left - given
redis.call('HSET', KEYS[1], 'left', tostring(left), 'at', tostring(now))
redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - left) / per_ms) + 1000)
return {given, math.floor(left), math.ceil((1 - left) / per_ms)}
"""


@dataclass(slots=True)
class _Purse:
    """What this process has taken for a caller and not spent yet; `left` is what was still in Redis then."""

    held: int = 0
    left: int = 0
    until: float = 0
    empty_until: float = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Limiter:
    """Counts requests by caller."""

    def __init__(self, redis: Redis | None, per_minute: int) -> None:
        self._per_minute = per_minute
        self._handful = max(1, min(HANDFUL, per_minute // 600))
        self._take = redis.register_script(_TAKE) if redis is not None else None
        self._purses: LRUCache[str, _Purse] = LRUCache(REMEMBERED)
        self._silent_until = 0.0
        self._is_silent = False

    async def spend(self, caller: str) -> dict[str, str]:
        """Count one request; the headers that say how many are left. Raises TooManyRequests when none are."""
        if self._take is None or time.monotonic() < self._silent_until:
            return {}
        purse = self._purse(caller)
        if not self._may_spend(purse):
            async with purse.lock:
                if not self._may_spend(purse):  # nobody else has filled it meanwhile
                    wait = await self._fill(purse, caller)
                    if wait is None:
                        return {}
                    if purse.held == 0:
                        raise TooManyRequests(f"more than {self._per_minute} requests in a minute", max(1, math.ceil(wait)))
        purse.held -= 1
        left = purse.left + purse.held
        reset = round((self._per_minute - left) * WINDOW / self._per_minute)
        return {"ratelimit-policy": f'"default";q={self._per_minute};w={WINDOW}', "ratelimit": f'"default";r={left};t={reset}'}

    def _purse(self, caller: str) -> _Purse:
        purse = self._purses.get(caller)
        if purse is None:
            purse = self._purses[caller] = _Purse()
        return purse

    @staticmethod
    def _may_spend(purse: _Purse) -> bool:
        return purse.held > 0 and time.monotonic() < purse.until

    async def _fill(self, purse: _Purse, caller: str) -> float | None:
        """Seconds until there is one more; None when Redis does not answer."""
        assert self._take is not None
        if (wait := purse.empty_until - time.monotonic()) > 0:  # a flood is refused without asking
            return wait
        try:
            async with asyncio.timeout(PATIENCE):
                answer: Any = await self._take(
                    keys=[f"orderbus:rate:{caller}"], args=[self._per_minute, WINDOW * 1000, self._handful]
                )
        except (RedisError, OSError, TimeoutError) as error:
            self._went_silent(error)
            return None
        if self._is_silent:
            self._is_silent = False
            log.info("rates are limited again")
        purse.held, purse.left, milliseconds = map(int, answer)
        purse.until = time.monotonic() + HELD_FOR
        purse.empty_until = 0 if purse.held else time.monotonic() + milliseconds / 1000
        return milliseconds / 1000

    def _went_silent(self, error: Exception) -> None:
        metrics.rate_limit_failures.inc()
        self._silent_until = time.monotonic() + LEFT_ALONE_FOR
        if not self._is_silent:
            self._is_silent = True
            log.warning("rates are not limited: Redis does not answer", error=type(error).__name__)


@asynccontextmanager
async def limiter(settings: Settings) -> AsyncIterator[Limiter]:
    """The limiter that the settings ask for. Does not connect yet: a service starts without Redis."""
    if settings.redis_url is None or settings.rate_limit_per_minute == 0:
        yield Limiter(None, settings.rate_limit_per_minute)
        return
    redis = connect(settings)
    try:
        yield Limiter(redis, settings.rate_limit_per_minute)
    finally:
        await redis.aclose()


def connect(settings: Settings) -> Redis:
    """A client that gives up soon and does not try again by itself; rediss:// is checked against ORDERBUS_TLS_CA."""
    assert settings.redis_url is not None
    url = settings.redis_url.get_secret_value()
    secure: dict[str, Any] = {"ssl_ca_certs": settings.tls_ca} if settings.tls_ca and url.startswith("rediss://") else {}
    return Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0), **secure)


def of_token(subject: str) -> str:
    """All tokens of a subject have one allowance: a fresh token is no fresh start."""
    return f"token:{subject}"


def of_address(host: str | None) -> str:
    """A client without a valid token. One IPv6 network is one client: it has 2⁶⁴ addresses."""
    try:
        address = ip_address(host or "")
    except ValueError:
        return f"address:{(host or 'unknown')[:64]}"
    if isinstance(address, IPv6Address):
        return f"address:{address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64)}"
    return f"address:{address}"
