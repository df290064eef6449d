"""The local issuer of bearer tokens: its key, what the services check tokens with, and one token with every scope. Another
system's tokens are signed with a key of its own: they end with it, when the system is removed or may say other things.

As a program (`python -m deploy.stack.keys FOLDER PUBLIC`) it makes them in a folder, and the public half in another too: that
one alone is given to services in containers, as a volume.
"""

import json
import shutil
import sys
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.stack.state import locked, open_folder, write_private

ISSUER = "orderbus-local"
AUDIENCE = "orderbus"
SCOPES = (
    "orders:read",
    "orders:write",
    "orders:release",
    "orders:refund",
    "products:write",
    "stock:write",
    "events:publish",
    "shipments:read",
    "payments:read",
    "ops:read",
    "ops:dead-letters",
)
SYSTEM_SCOPES = ("events:publish", "orders:read", "orders:write")
"""What another system may do over HTTP, under its own source."""

LIFETIME = timedelta(days=30)
RENEWED_BEFORE = timedelta(days=1)

_KEY, _JWKS, _TOKEN, _SYSTEMS = "private.json", "jwks.json", "token", "systems"


def jwks_path(keys: Path) -> Path:
    """The public half: all that a service needs."""
    return keys / _JWKS


def keep(keys: Path, now: datetime) -> str:
    """A token that is good for a day at least; key and token are made when missing and kept otherwise."""
    from joserfc.jwk import ECKey

    if (keys / _KEY).exists():
        key = ECKey.import_key(json.loads((keys / _KEY).read_text()))
    else:
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
        write_private(keys / _KEY, json.dumps(key.as_dict(private=True)))
    if not jwks_path(keys).exists():
        _publish(keys)

    known = keys / _TOKEN
    if known.exists() and _is_good(known.read_text(), key, now):
        return known.read_text()
    token = _signed(key, "local", SCOPES, now, LIFETIME)
    write_private(known, token)
    return token


def for_system(keys: Path, name: str, source: str, publishes: Collection[str], now: datetime, lifetime: timedelta) -> str:
    """A token of another system, which says these types for this source and nothing else. It is kept nowhere."""
    from joserfc.jwk import ECKey

    keep(keys, now)
    with locked(open_folder(keys)):
        file, types = _of_system(keys, name), " ".join(sorted(publishes))
        _end_unless(file, types)
        if not file.exists():
            made = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
            write_private(file, json.dumps({"publishes": types, "key": made.as_dict(private=True)}))
        key = ECKey.import_key(json.loads(file.read_text())["key"])
        _publish(keys)
    return _signed(key, name, SYSTEM_SCOPES, now, lifetime, source=source, publishes=types)


def end_tokens(keys: Path, name: str, publishes: Collection[str] | None = None) -> bool:
    """The system's tokens open nothing from now on, unless they are for exactly these types; whether there were any."""
    if not (keys / _KEY).exists():
        return False
    with locked(open_folder(keys)):
        ended = _end_unless(_of_system(keys, name), None if publishes is None else " ".join(sorted(publishes)))
        _publish(keys)
    return ended


def end_all_systems_tokens(keys: Path) -> None:
    """No other system's tokens open anything from now on."""
    if not (keys / _KEY).exists():
        return
    with locked(open_folder(keys)):
        shutil.rmtree(keys / _SYSTEMS, ignore_errors=True)
        _publish(keys)


def _of_system(keys: Path, name: str) -> Path:
    return keys / _SYSTEMS / f"{name}.json"


def _end_unless(file: Path, types: str | None) -> bool:
    if not file.exists() or json.loads(file.read_text())["publishes"] == types:
        return False
    file.unlink()
    return True


def _publish(keys: Path) -> None:
    """The public halves of all keys that count."""
    from joserfc.jwk import ECKey

    private = [json.loads((keys / _KEY).read_text())]
    private += [json.loads(file.read_text())["key"] for file in sorted((keys / _SYSTEMS).glob("*.json"))]
    public = [ECKey.import_key(key).as_dict(private=False) for key in private]
    write_private(jwks_path(keys), json.dumps({"keys": public}))


def _signed(key: Any, subject: str, scopes: Iterable[str], now: datetime, lifetime: timedelta, **more: str) -> str:
    from joserfc import jwt

    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "iat": int(now.timestamp()),
        "exp": int((now + lifetime).timestamp()),
        "scope": " ".join(scopes),
        **more,
    }
    return jwt.encode({"alg": "ES256", "kid": key.kid, "typ": "JWT"}, claims, key)


def _is_good(token: str, key: object, now: datetime) -> bool:
    """Signed by this key, with today's scopes, and valid now and for long enough: one of a clock that was ahead is not yet."""
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey

    assert isinstance(key, ECKey)
    try:
        claims = jwt.decode(token, key, algorithms=["ES256"]).claims
    except (JoseError, ValueError):
        return False
    begun, left = claims["iat"] <= now.timestamp(), claims["exp"] - now.timestamp()
    return bool(begun and left > RENEWED_BEFORE.total_seconds() and claims["scope"] == " ".join(SCOPES))


if __name__ == "__main__":
    made, public = map(Path, sys.argv[1:])
    keep(made, datetime.now(UTC))
    write_private(jwks_path(public), jwks_path(made).read_text())
