"""Bearer tokens: signed JWTs (RFC 7519, RFC 9068 in spirit) whose `scope` says what the caller may do."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from shared.problems import Forbidden, Unauthenticated
from shared.settings import Settings

ALGORITHMS = ["ES256", "RS256"]
MAX_TOKEN = 8192
REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, and what the token allows. `source`: the only CloudEvents source it may publish under, if set."""

    subject: str
    scopes: frozenset[str]
    expires_at: int
    source: str | None = None


class Authenticator:
    """Checks tokens against a set of public keys; a token seen before is not verified again until it expires."""

    def __init__(self, settings: Settings) -> None:
        self._keys = KeySet.import_key_set(orjson.loads(Path(settings.auth_jwks).read_bytes()))
        self._claims = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": settings.auth_issuer},
            aud={"essential": True, "value": settings.auth_audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        self._known: dict[str, Principal] = {}

    def authenticate(self, authorization: str | None) -> Principal | None:
        """Who calls; None without a token. Raises Unauthenticated for one that is not valid."""
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
            raise Unauthenticated("the Authorization header should be: Bearer <token>")
        known = self._known.get(token)
        if known is not None and known.expires_at > time.time():
            return known
        principal = self._verify(token)
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[token] = principal
        return principal

    def _verify(self, token: str) -> Principal:
        try:
            claims: dict[str, Any] = jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims
            self._claims.validate(claims)
        except (JoseError, ValueError) as error:
            raise Unauthenticated(f"the bearer token is not valid: {error}") from error
        return Principal(claims["sub"], frozenset(str(claims.get("scope", "")).split()), claims["exp"], claims.get("source"))


def caller(request: Request) -> Principal:
    """The caller's principal. Raises Unauthenticated without a token."""
    principal: Principal | None = request.app.state.authenticator.authenticate(request.headers.get("authorization"))
    if principal is None:
        raise Unauthenticated("a bearer token is needed: Authorization: Bearer <token>")
    return principal


Caller = Annotated[Principal, Depends(caller)]


def scope(name: str) -> Any:
    """A route's dependency: the caller's token must carry the scope."""

    def check(principal: Caller) -> Principal:
        if name not in principal.scopes:
            raise Forbidden(f"the token lacks the scope {name}", scope=name)
        return principal

    return Depends(check)
