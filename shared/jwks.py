"""The public keys that bearer tokens are checked with (RFC 7517), from a file or from the issuer's https address."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import structlog
from aiohttp import ClientError
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from shared import outward, tls
from shared.problems import Unavailable
from shared.settings import Settings

log = structlog.get_logger()

KINDS: dict[str, tuple[str, type[ECKey] | type[RSAKey]]] = {"EC": ("ES256", ECKey), "RSA": ("RS256", RSAKey)}
"""Which algorithm each kind of key signs with: a token cannot choose another one."""

REFRESHED_AFTER = 600.0
"""Seconds after which the keys are asked for again, so that one that was withdrawn does not go on opening doors."""

ASKED_AGAIN_AFTER = 30.0
"""Seconds between two askings, however many tokens name a key that is not known."""

READ_AGAIN_AFTER = 2.0
"""The same, both of them, where the keys are in a file: reading it costs next to nothing."""

PATIENCE = 5.0
MAX_BYTES = 256 * 1024
SHORTEST_RSA = 2048

Key = ECKey | RSAKey


class Keys:
    """Public keys by their `kid`. Those at an address are asked for when the first token comes, and kept when the issuer
    cannot be reached."""

    def __init__(
        self,
        load: Callable[[], Awaitable[bytes]],
        clock: Callable[[], float] = time.monotonic,
        refreshed_after: float = REFRESHED_AFTER,
        asked_again_after: float = ASKED_AGAIN_AFTER,
    ) -> None:
        self._load = load
        self._clock = clock
        self._refreshed_after = refreshed_after
        self._asked_again_after = asked_again_after
        self._document = b""
        self._keys: dict[str, Key] = {}
        self._loaded_at: float | None = None
        self._asked_at: float | None = None
        self._lock = asyncio.Lock()

    @classmethod
    def of(cls, settings: Settings, clock: Callable[[], float] = time.monotonic) -> "Keys":
        """As the settings say. Raises ValueError for a file that holds no usable key, and for plain http."""
        place = settings.auth_jwks
        if place.startswith("https://"):
            return cls(lambda: _fetch(place, settings), clock)
        if "://" in place:
            raise ValueError("ORDERBUS_AUTH_JWKS should be a file or an https address")

        async def read() -> bytes:
            return Path(place).read_bytes()  # noqa: ASYNC240 -- a small local file, and not often

        keys = cls(read, clock, READ_AGAIN_AFTER, READ_AGAIN_AFTER)
        keys.take(Path(place).read_bytes())
        if not keys._keys:
            raise ValueError("ORDERBUS_AUTH_JWKS holds no public key for ES256 or RS256 with a kid")
        return keys

    def take(self, document: bytes) -> None:
        """From now on these keys count, and no others. Raises ValueError for what is no JWKS."""
        if document != self._document:  # the same keys stay the same: tokens that are known need not be verified again
            self._keys, self._document = read_keys(document), document
        self._loaded_at = self._asked_at = self._clock()

    async def find(self, kid: str) -> Key | None:
        """The key, or None. Raises Unavailable while there are none at all because the issuer does not answer."""
        if (kid not in self._keys or self._is_old()) and self._may_ask():
            await self._refresh()
        if self._loaded_at is None:
            raise Unavailable("the issuer of tokens does not answer; try again shortly")
        return self._keys.get(kid)

    def _is_old(self) -> bool:
        return self._loaded_at is None or self._clock() - self._loaded_at > self._refreshed_after

    def _may_ask(self) -> bool:
        return self._asked_at is None or self._clock() - self._asked_at > self._asked_again_after

    async def _refresh(self) -> None:
        async with self._lock:
            if not self._may_ask():  # another request has just asked
                return
            self._asked_at = self._clock()
            try:
                self.take(await self._load())
            except (ClientError, OSError, ValueError) as error:
                log.warning("the keys of tokens could not be read; those that are known go on", error=type(error).__name__)


def read_keys(document: bytes) -> dict[str, Key]:
    """The keys that can check our tokens: public, named, of a kind and strength we take. Others are passed over.

    Raises ValueError for what is no JWKS.
    """
    try:
        found = orjson.loads(document)["keys"]
        return {each["kid"]: key for each in found if (key := _read_key(each)) is not None}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError("not a JWKS") from error


def _read_key(jwk: Any) -> Key | None:
    kind = KINDS.get(jwk.get("kty"))
    if kind is None or not isinstance(jwk.get("kid"), str) or jwk.get("use", "sig") != "sig":
        return None
    algorithm, key_class = kind
    if jwk.get("alg", algorithm) != algorithm or (key_class is ECKey and jwk.get("crv") != "P-256"):
        return None
    try:
        # the public members only: a private key left in the file by mistake is not loaded
        public = {name: jwk[name] for name in ("kty", "kid", "crv", "x", "y", "n", "e") if name in jwk}
        key = key_class.import_key(public)
        too_short = isinstance(key, RSAKey) and key.public_key.key_size < SHORTEST_RSA
    except (JoseError, ValueError, TypeError):
        return None
    return None if too_short else key


async def _fetch(url: str, settings: Settings) -> bytes:
    async with (
        outward.session(url, tls.outward(settings), timeout=PATIENCE) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status != 200:
            raise ValueError(f"HTTP {response.status}")
        return await outward.read(response, MAX_BYTES)
