"""Calls to partners: one kept-alive client each, bounded in time and number, and an answer for every way to fail."""

import asyncio
import time
from functools import partial
from typing import Any

import httpx

from shared import metrics, telemetry

_partners: "list[Partner]" = []


class PartnerUnknown(Exception):
    """No answer came: the partner may or may not have done it. It must be asked, never guessed."""


class PartnerUnavailable(PartnerUnknown):
    """The partner answered that it cannot now (5xx, 429). To be asked again later, with the same key."""


class PartnerRefused(Exception):
    """The partner answered no (4xx); asking again changes nothing. `body` is its JSON answer."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body


class Partner:
    """One partner's HTTP API. `timeout` bounds a whole call, in seconds; `in_flight` the calls under way at a time."""

    def __init__(
        self, name: str, base_url: str, *, timeout: float = 10, in_flight: int = 64, auth: Any = None, headers: Any = None
    ) -> None:
        self.name = name
        self._base_url = base_url
        self._failures_in_a_row = 0
        self._timeout = timeout
        # what a request costs grows with the connections of its client: 3 ms of CPU at 32
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60)
        self._client = partial(
            httpx.AsyncClient,
            base_url=base_url,
            timeout=timeout,
            auth=auth,
            headers=headers,
            limits=limits,
            verify=httpx.create_ssl_context(),
        )
        # last in, first out: the warm ones are used
        self._free: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()
        self._clients = {self._client() for _ in range(in_flight)}
        for client in self._clients:
            self._free.put_nowait(client)
        self._closing: set[asyncio.Task[None]] = set()
        _partners.append(self)

    async def call(self, method: str, path: str, **request: Any) -> Any:
        """The partner's JSON answer. Raises PartnerRefused, PartnerUnavailable, or PartnerUnknown when none came."""
        with telemetry.calling(self.name, method, self._base_url + path) as call:
            return await self._call(call, method, path, request)

    async def _call(self, call: telemetry.Call, method: str, path: str, request: dict[str, Any]) -> Any:
        started, outcome = time.perf_counter(), "unknown"
        metrics.partner_calls.labels(self.name).inc()
        try:
            # httpx bounds each step; a claim's lease needs the whole call bounded, the wait for a connection included
            async with asyncio.timeout(self._timeout):
                response = await self._request(method, path, request)
            call.status = response.status_code
            outcome = f"{response.status_code // 100}xx"
        except (httpx.HTTPError, TimeoutError) as error:
            raise PartnerUnknown(f"{self.name}: {type(error).__name__}") from error
        finally:
            metrics.partner_calls.labels(self.name).dec()
            metrics.partner_seconds.labels(self.name, outcome).observe(time.perf_counter() - started)
            self._failures_in_a_row = self._failures_in_a_row + 1 if outcome in ("unknown", "5xx") else 0
            metrics.partner_silence.labels(self.name).set(self._failures_in_a_row)
        if response.status_code >= 500 or response.status_code in (409, 429):
            raise PartnerUnavailable(f"{self.name}: HTTP {response.status_code}")
        try:
            body = response.json() if response.content else None
        except ValueError as error:  # a proxy's page instead of the partner's answer
            raise PartnerUnknown(f"{self.name}: an answer that is not JSON") from error
        if response.status_code >= 400:
            raise PartnerRefused(response.status_code, body)
        return body

    async def _request(self, method: str, path: str, request: dict[str, Any]) -> httpx.Response:
        client = await self._free.get()
        try:
            return await client.request(method, path, **request)
        except BaseException:
            # cut off in the wrong moment, httpx waits for ever for a connection that nobody makes any more
            client = self._another(client)
            raise
        finally:
            self._free.put_nowait(client)

    def _another(self, client: httpx.AsyncClient) -> httpx.AsyncClient:
        """One that has not been used, in its place."""
        self._clients.remove(client)
        closing = asyncio.create_task(client.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        fresh = self._client()
        self._clients.add(fresh)
        return fresh

    async def close(self) -> None:
        """Close its connections."""
        for client in self._clients:
            await client.aclose()


async def close() -> None:
    """Close every partner's connections; called once when the process ends."""
    while _partners:
        await _partners.pop().close()
