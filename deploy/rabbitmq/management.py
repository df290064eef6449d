"""The broker's management API, as far as users, rights and other systems' queues need it."""

from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

import httpx

from deploy.rabbitmq.names import vhost_of
from deploy.trust import trusted_at


class ManagementError(Exception):
    """The management API cannot be reached, or refuses; the message says what to do."""


class Unreachable(ManagementError):
    """Nothing answers there."""


def path(*parts: str) -> str:
    """A path of the API; each part is a name, whatever signs it holds."""
    return "/api/" + "/".join(quote(part, safe="") for part in parts)


class Management:
    """The API of the broker that the AMQP URL leads to, in that URL's vhost.

    A management URL without a user of its own is entered as the AMQP URL's.
    """

    def __init__(self, management_url: str, rabbitmq_url: str) -> None:
        parts = urlsplit(management_url)
        known = parts if parts.username else urlsplit(rabbitmq_url)
        self.vhost = vhost_of(rabbitmq_url)
        self.place = parts.netloc.rpartition("@")[2]
        self._client = httpx.AsyncClient(
            base_url=parts._replace(netloc=self.place).geturl(),
            auth=(unquote(known.username or ""), unquote(known.password or "")),
            verify=trusted_at(management_url),
            trust_env=False,
            timeout=30,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        await self._client.aclose()

    async def get(self, *parts: str) -> Any:
        """What is there; None where nothing is."""
        answer = await self._ask("GET", parts)
        return None if answer.status_code == 404 else answer.json()

    async def put(self, *parts: str, **content: Any) -> None:
        """Make it so."""
        await self._ask("PUT", parts, content)

    async def post(self, *parts: str, **content: Any) -> None:
        """Add it, unless it is there."""
        await self._ask("POST", parts, content)

    async def delete(self, *parts: str) -> bool:
        """Remove it; False where nothing was."""
        return (await self._ask("DELETE", parts)).status_code != 404

    async def close_connections(self, user: str) -> None:
        """End what the user has open: rights that have changed act on new channels only."""
        for connection in await self.get("connections", "username", user) or []:
            await self.delete("connections", connection["name"])

    async def _ask(
        self, method: str, parts: tuple[str, ...], content: dict[str, Any] | None = None, *, again: bool = False
    ) -> httpx.Response:
        try:
            answer = await self._client.request(method, path(*parts), json=content)
        except httpx.TransportError as error:
            raise Unreachable(
                f"RabbitMQ's management API does not answer at {self.place} ({error!r}); it is a plugin: "
                "rabbitmq-plugins enable rabbitmq_management, then ORDERBUS_RABBITMQ_MANAGEMENT_URL says where it is"
            ) from error
        if answer.status_code == 400 and "user_already_exists" in answer.text and not again:
            # somebody else made the same user at the same moment; now that it is there, it is changed
            return await self._ask(method, parts, content, again=True)
        if answer.status_code in (401, 403):
            raise ManagementError(f"RabbitMQ's management API at {self.place} wants a user with the tag administrator")
        if not answer.is_success and answer.status_code != 404:
            raise ManagementError(
                f"RabbitMQ's management API: {method} {path(*parts)} answered {answer.status_code}: {answer.text[:300]}"
            )
        if answer.status_code == 404 and method in ("PUT", "POST"):
            raise ManagementError(f"RabbitMQ's management API knows no {path(*parts)}: {answer.text[:300]}")
        return answer
