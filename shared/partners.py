"""Calls to partners: one kept-alive session each, bounded in time, number and size, and an answer for every way to fail."""

import time
from collections.abc import Mapping
from functools import partial
from ssl import SSLContext
from typing import Any

import orjson
import structlog
from aiohttp import ClientConnectorError, ClientError, ClientSession, encode_basic_auth

from shared import metrics, outward, telemetry
from shared.seldom import Seldom

log = structlog.get_logger()

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""A label as PDF is some hundred kilobytes."""

NO_ANSWER_YET = frozenset({502, 504})
"""Of the 5xx those of a gateway that has waited for longer than it likes."""

NO_ANSWER = frozenset({401, 403, 409, 429})
"""Of the 4xx those that say nothing of what was asked: it does not let us in, or not now."""

_partners: "list[Partner]" = []


class PartnerUnknown(Exception):
    """No answer, or one that it cannot now (5xx, 409, 429): the partner may or may not have done it. It must be asked again
    with the same key, never guessed."""


class PartnerSilent(PartnerUnknown):
    """It was asked, and neither it nor its gateway has had an answer in time: it may still be at it, and then says of what it is
    asked about that there is nothing."""


class PartnerRefused(Exception):
    """The partner answered no (4xx but 409 and 429); asking again changes nothing. `body` is its JSON answer."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body


class Partner:
    """One partner's HTTP API. `tls`: whose certificates are believed. `timeout` bounds a whole call, in seconds; `at_a_time`
    is how many are under way. `auth`: a user and a password. `says_no_by`: a status by which this one refuses what it was
    asked, and others us."""

    def __init__(
        self,
        name: str,
        base_url: str,
        tls: SSLContext,
        *,
        timeout: float = 10,
        at_a_time: int = 64,
        auth: tuple[str, str] | None = None,
        says_no_by: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._base_url = base_url.rstrip("/")
        self._no_answer = NO_ANSWER - {says_no_by}
        self._failures_in_a_row = 0
        self._seldom = Seldom()
        told = {**(headers or {}), **({"Authorization": encode_basic_auth(*auth)} if auth else {})}
        self._make_session = partial(outward.session, base_url, tls, timeout=timeout, at_a_time=at_a_time, headers=told)
        self._session: ClientSession | None = None
        _partners.append(self)

    async def call(self, method: str, path: str, **request: Any) -> Any:
        """The partner's JSON answer. Raises PartnerRefused, or PartnerUnknown."""
        with telemetry.calling(self.name, method, self._base_url + path) as call:
            return await self._call(call, method, path, request)

    async def _call(self, call: telemetry.Call, method: str, path: str, request: dict[str, Any]) -> Any:
        started, outcome = time.perf_counter(), "unknown"
        metrics.partner_calls.labels(self.name).inc()
        try:
            if self._session is None:  # not before there is an event loop
                self._session = self._make_session()
            async with self._session.request(method, self._base_url + path, allow_redirects=False, **request) as response:
                content = await outward.read(response, MAX_ANSWER_BYTES)
            call.status = status = response.status
            outcome = str(status) if status in self._no_answer else f"{status // 100}xx"
            if status in NO_ANSWER_YET:
                raise PartnerSilent(f"{self.name}: HTTP {status}")
            if status >= 500 or status in (409, 429):
                raise PartnerUnknown(f"{self.name}: HTTP {status}")
            if 300 <= status < 400:
                raise PartnerUnknown(f"{self.name}: HTTP {status}, which sends us elsewhere")
            try:
                body = orjson.loads(content) if content else None
            except ValueError as error:  # a proxy's page instead of the partner's answer
                outcome = "unknown"
                raise PartnerUnknown(f"{self.name}: an answer that is not JSON") from error
        except (ClientConnectorError, outward.TooLarge) as error:  # it was not asked, or has answered
            raise PartnerUnknown(f"{self.name}: {type(error).__name__}") from error
        except (ClientError, TimeoutError) as error:
            raise PartnerSilent(f"{self.name}: {type(error).__name__}") from error
        finally:
            metrics.partner_calls.labels(self.name).dec()
            metrics.partner_seconds.labels(self.name, outcome).observe(time.perf_counter() - started)
            self._failures_in_a_row = 0 if outcome in ("2xx", "4xx") else self._failures_in_a_row + 1
            metrics.partner_silence.labels(self.name).set(self._failures_in_a_row)
            self._tell(outcome)
        if status >= 400:
            raise PartnerRefused(status, body)
        return body

    def _tell(self, outcome: str) -> None:
        """In the log, that it says neither yes nor no."""
        if self._failures_in_a_row and self._seldom.is_time(self.name):
            log.warning(
                "a partner does not answer, or does not let us in; it will be asked again",
                name=self.name,
                status=outcome,
                count=self._failures_in_a_row,
            )

    async def close(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()


async def close() -> None:
    """Close every partner's connections; called once when the process ends."""
    while _partners:
        await _partners.pop().close()
