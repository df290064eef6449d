"""Bearer tokens: signed JWTs (RFC 7519, RFC 9068 in spirit) whose `scope` says what the caller may do, and whose
`source`, if there is one, whose orders it may do it to; and `publishes` what it may say on the bus."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

from cachetools import LRUCache
from fastapi import Depends, Request
from joserfc import jws, jwt
from joserfc.errors import JoseError

from shared.jwks import KINDS, Key, Keys
from shared.problems import Forbidden, Unauthenticated
from shared.settings import Settings

MAX_TOKEN = 8192
MAX_NAME = 256
REMEMBERED = 1024
"""Tokens; the one that was used longest ago is forgotten first."""

LEEWAY = 30
"""Seconds that the issuer's clock may differ from ours."""

_TYPES = {None, "jwt", "at+jwt", "application/at+jwt"}
_ALGORITHM_OF = {key_class: algorithm for algorithm, key_class in KINDS.values()}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, and what the token allows.

    `source` binds a token to one shop: it publishes under that CloudEvents source only, and of all orders there are only
    its own for it. `publishes` are the event types it may say; None where the token names none.
    """

    subject: str
    scopes: frozenset[str]
    expires_at: int
    source: str | None = None
    publishes: frozenset[str] | None = None

    def may_see(self, source: str | None) -> bool:
        """Whether an order of this source is there for the caller."""
        return self.source is None or self.source == source

    def may_publish(self, type: str) -> bool:
        """Whether the caller may say this. A shop says what its token names, as over AMQP, and nothing else."""
        if self.publishes is None:
            return self.source is None
        return type in self.publishes


class Authenticator:
    """Checks tokens against a set of public keys; a token seen before is not verified again until it expires, or the key
    that signed it is withdrawn."""

    def __init__(self, settings: Settings, keys: Keys | None = None) -> None:
        self._keys = keys or Keys.of(settings)
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": settings.auth_issuer},
            aud={"essential": True, "value": settings.auth_audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        self._known: LRUCache[str, tuple[Key, Principal]] = LRUCache(REMEMBERED)

    async def authenticate(self, authorization: str | None) -> Principal | None:
        """Who calls; None without a token. Raises Unauthenticated for one that is not valid, and Unavailable when it
        cannot be told."""
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
            raise Unauthenticated("the Authorization header should be: Bearer <token>")
        if (known := self._known.get(token)) is not None:
            key, principal = known
            if principal.expires_at + LEEWAY > time.time() and await self._keys.find(key.kid or "") is key:
                return principal
            self._known.pop(token, None)
        key, principal = await self._verify(token)
        self._known[token] = key, principal
        return principal

    async def _verify(self, token: str) -> tuple[Key, Principal]:
        try:
            header = jws.extract_compact(token.encode()).headers()
            key = await self._key(header)
            claims: dict[str, Any] = jwt.decode(token, key, algorithms=[_ALGORITHM_OF[type(key)]]).claims
            self._claims.validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            # what the library says of it names claims and reasons, and nothing that is in the token
            said = error if isinstance(error, JoseError) else "it cannot be read"
            raise Unauthenticated(f"the bearer token is not valid: {said}") from None
        return key, _principal(claims)

    async def _key(self, header: dict[str, Any]) -> Key:
        """The key that the token names. What it is for is the key's to say, never the token's."""
        kid, kind = header.get("kid"), header.get("typ")
        if not isinstance(kid, str) or not 0 < len(kid) <= MAX_NAME:
            raise Unauthenticated("the bearer token is not valid: it names no key (kid)")
        if "crit" in header or (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
            raise Unauthenticated("the bearer token is not valid: it is not a plain JWT")
        key = await self._keys.find(kid)
        if key is None:
            raise Unauthenticated("the bearer token is not valid: its key is not known here")
        if header.get("alg") != _ALGORITHM_OF[type(key)]:
            raise Unauthenticated("the bearer token is not valid: its key signs with another algorithm")
        return key


def _is_name(claim: Any) -> bool:
    return isinstance(claim, str) and 0 < len(claim) <= MAX_NAME and claim.isprintable()


def _principal(claims: dict[str, Any]) -> Principal:
    subject, scopes, source, publishes = claims["sub"], claims.get("scope", ""), claims.get("source"), claims.get("publishes")
    if not _is_name(subject) or not isinstance(scopes, str):
        raise Unauthenticated("the bearer token is not valid: sub and scope should be texts")
    # a bond that cannot be understood must not become none: a token without a source is every shop's
    if "publishes" in claims and not isinstance(publishes, str):
        raise Unauthenticated("the bearer token is not valid: publishes should be a text")
    if "source" in claims and not _is_name(source):
        raise Unauthenticated("the bearer token is not valid: source should be a text")
    types = None if publishes is None else frozenset(publishes.split())
    return Principal(subject, frozenset(scopes.split()), int(claims["exp"]), source, types)


async def caller(request: Request) -> Principal:
    """The caller's principal. Raises Unauthenticated without a token."""
    if not hasattr(request.state, "principal"):
        request.state.principal = await request.app.state.authenticator.authenticate(request.headers.get("authorization"))
    principal: Principal | None = request.state.principal
    if principal is None:
        raise Unauthenticated("a bearer token is needed: Authorization: Bearer <token>")
    return principal


Caller = Annotated[Principal, Depends(caller)]


def scope(name: str) -> Any:
    """A route's dependency: the caller's token must carry the scope."""

    async def check(principal: Caller) -> Principal:
        if name not in principal.scopes:
            raise Forbidden(f"the token lacks the scope {name}", scope=name)
        return principal

    return Depends(check)


async def _of_every_shop(principal: Caller) -> Principal:
    if principal.source is not None and "ops:read" not in principal.scopes:
        raise Forbidden("a token of one shop reads its orders at /api/orders; here it needs the scope ops:read", scope="ops:read")
    return principal


of_every_shop = Depends(_of_every_shop)
"""A route's dependency, where it is not known whose an order is: a token that is bound to a source must carry ops:read."""
