"""HTTP towards others' servers: connections that are kept, and no more of an answer than can be one.

By aiohttp: httpx takes six times the CPU (docs/decisions/0019-partners-by-aiohttp.md).
"""

from collections.abc import Mapping
from ssl import SSLContext
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import orjson
from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

KEPT = 60
"""Seconds that a connection without a call is kept."""


class TooLarge(ValueError):
    """An answer longer than any can be."""


def session(
    url: str, tls: SSLContext, *, timeout: float, at_a_time: int = 1, headers: Mapping[str, str] | None = None
) -> ClientSession:
    """For calls to this address, directly or through the proxy that the environment names (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).
    `timeout` bounds a whole call, in seconds, the wait for one of the `at_a_time` connections included. To be made where it is
    used: it belongs to the event loop."""
    return ClientSession(
        connector=TCPConnector(ssl=tls, limit=at_a_time, keepalive_timeout=KEPT),
        timeout=ClientTimeout(total=timeout),
        headers=headers,
        proxy=_proxy_towards(url),
        cookie_jar=DummyCookieJar(),
        json_serialize_bytes=orjson.dumps,
    )


async def read(response: ClientResponse, at_most: int) -> bytes:
    """The whole body. Raises TooLarge."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > at_most:
            raise TooLarge(f"more than {at_most} bytes")
    return bytes(body)


def _proxy_towards(url: str) -> str | None:
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
