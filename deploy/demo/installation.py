"""The running stack, as its own shop and its shoppers reach it: over HTTP, with the local token."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from deploy.trust import trusted_at

Stack = Mapping[str, Any]
"""What .orderbus/stack.json says."""

TIMEOUT = 15.0
CONNECTIONS = 24
ATTEMPTS = 5


class Trouble(Exception):
    """Something was answered that the demo did not ask for; the message says what."""


@dataclass(frozen=True, slots=True)
class Installation:
    """A client for each service and the sandbox, connections kept open."""

    orders: httpx.AsyncClient
    inventory: httpx.AsyncClient
    logistics: httpx.AsyncClient
    sandbox: httpx.AsyncClient


@asynccontextmanager
async def reached(stack: Stack) -> AsyncIterator[Installation]:
    """The installation at these addresses."""
    services = {name: service["url"] for name, service in stack["services"].items()}
    async with AsyncExitStack() as open_clients:

        async def client(url: str, headers: dict[str, str]) -> httpx.AsyncClient:
            limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
            made = httpx.AsyncClient(
                base_url=url, headers=headers, timeout=TIMEOUT, limits=limits, verify=trusted_at(url), trust_env=False
            )
            return await open_clients.enter_async_context(made)

        bearer = {"authorization": f"Bearer {stack['token']}"}
        yield Installation(
            orders=await client(services["orders"], bearer),
            inventory=await client(services["inventory"], bearer),
            logistics=await client(services["logistics"], bearer),
            sandbox=await client(stack["sandbox"]["url"], {}),
        )


async def ask(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    body: Any = None,
    *,
    key: str | None = None,
    allowed: tuple[int, ...] = (),
    **more: Any,
) -> httpx.Response:
    """The answer, which is a success or one of the allowed. What a busy or restarting service could not answer is asked
    again, under the same Idempotency-Key. Raises Trouble."""
    headers = more.pop("headers", {}) | ({"idempotency-key": key} if key else {})
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = await client.request(method, path, json=body, headers=headers, **more)
        except httpx.TransportError as error:
            said = f"{method} {path}: {error!r}"
        else:
            if answer.is_success or answer.status_code in allowed:
                return answer
            said = f"{method} {path} answered {answer.status_code}: {_detail(answer)}"
            if answer.status_code not in (502, 503, 504):
                break
        await asyncio.sleep(0.1 * 2**attempt)
    raise Trouble(said)


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
