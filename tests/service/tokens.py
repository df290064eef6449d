"""Tokens as the issuer would give them to somebody, signed with the key that the house's service believes."""

import json
import time
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.stack import keys
from shared.settings import Settings


def a_token(settings: Settings, *scopes: str, **claims: Any) -> str:
    """Good for a minute, of nobody in particular, unless said."""
    key = ECKey.import_key(json.loads(Path(settings.auth_jwks).with_name("private.json").read_text()))
    told = {
        "iss": keys.ISSUER,
        "aud": keys.AUDIENCE,
        "sub": "somebody",
        "exp": int(time.time()) + 60,
        "scope": " ".join(scopes),
    }
    return jwt.encode({"alg": "ES256", "kid": key.kid}, told | claims, key)


def bearing(settings: Settings, *scopes: str, **claims: Any) -> dict[str, str]:
    """The header that carries it."""
    return {"authorization": f"Bearer {a_token(settings, *scopes, **claims)}"}
