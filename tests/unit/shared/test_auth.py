"""Bearer tokens: each way in which one can be wrong is refused, and the keys come from a file or the issuer."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientConnectionError
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from pydantic import SecretStr

from shared.auth import LEEWAY, Authenticator
from shared.jwks import ASKED_AGAIN_AFTER, READ_AGAIN_AFTER, REFRESHED_AFTER, Keys, read_keys
from shared.problems import Unauthenticated, Unavailable
from shared.settings import Settings

EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "alg": "RS256"})
STRANGER = ECKey.generate_key("P-256", {"kid": "ec"})


def jwks(*keys: Any) -> bytes:
    return orjson.dumps({"keys": [key.as_dict(private=False) for key in keys]})


def some_settings(path: str) -> Settings:
    return Settings(
        postgres_url=SecretStr("postgresql://"), rabbitmq_url=SecretStr("amqp://"), auth_jwks=path, auth_issuer="issuer"
    )


@pytest.fixture
def authenticator(tmp_path: Path) -> Authenticator:
    (tmp_path / "jwks.json").write_bytes(jwks(EC, RSA))
    return Authenticator(some_settings(str(tmp_path / "jwks.json")))


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    told = {"iss": "issuer", "aud": "orderbus", "sub": "shop", "exp": now + 60, "scope": "orders:read orders:write"}
    return {name: value for name, value in (told | more).items() if value is not None}


def token(key: Any = EC, header: dict[str, Any] | None = None, **more: Any) -> str:
    algorithm = {"EC": "ES256", "RSA": "RS256"}[key.key_type]
    return "Bearer " + jwt.encode({"alg": algorithm, "kid": key.kid, "typ": "JWT"} | (header or {}), claims(**more), key)


def by_hand(header: dict[str, Any], secret: bytes) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()

    signed = f"{part(header)}.{part(claims())}"
    signature = hmac.digest(secret, signed.encode(), "sha256") if secret else b""
    return f"Bearer {signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize("key", [EC, RSA])
async def test_a_token_of_either_kind_says_who_calls_and_what_for(authenticator: Authenticator, key: Any) -> None:
    principal = await authenticator.authenticate(token(key, source="/shops/a"))

    assert principal is not None
    assert (principal.subject, principal.scopes) == ("shop", frozenset({"orders:read", "orders:write"}))
    assert (principal.source, principal.may_see("/shops/a"), principal.may_see("/shops/b")) == ("/shops/a", True, False)
    assert await authenticator.authenticate(None) is None


async def test_a_token_that_is_bound_to_no_shop_sees_every_shops_orders(authenticator: Authenticator) -> None:
    principal = await authenticator.authenticate(token())

    assert principal is not None
    assert principal.may_see("/shops/a")
    assert principal.may_see(None)


async def test_a_shop_says_on_the_bus_what_its_token_names_and_nothing_else(authenticator: Authenticator) -> None:
    async def may_publish(**more: Any) -> list[bool]:
        principal = await authenticator.authenticate(token(**more))
        assert principal is not None
        return [principal.may_publish(type) for type in ("order.paid", "order.submitted")]

    assert await may_publish(source="/shops/a", publishes="order.paid") == [True, False]
    assert await may_publish(source="/shops/a", publishes="") == [False, False]
    assert await may_publish(source="/shops/a") == [False, False]
    assert await may_publish(publishes="order.submitted") == [False, True]
    assert await may_publish() == [True, True]


async def test_a_key_that_is_put_into_a_file_or_taken_out_counts_within_seconds(tmp_path: Path) -> None:
    file, now = tmp_path / "jwks.json", 1000.0
    file.write_bytes(jwks(EC))
    settings = some_settings(str(file))
    authenticator = Authenticator(settings, Keys.of(settings, lambda: now))
    known = token()
    assert await authenticator.authenticate(known) is not None

    file.write_bytes(jwks(RSA))
    now += READ_AGAIN_AFTER + 1

    assert await authenticator.authenticate(token(RSA)) is not None
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(known)


def pem() -> bytes:
    return EC.as_pem(private=False)


NOW = int(time.time())
WRONG: dict[str, Callable[[], str]] = {
    "not bearer": lambda: "Basic YTpi",
    "a good one that is not bearer": lambda: token().replace("Bearer", "Basic"),
    "no token": lambda: "Bearer ",
    "too long": lambda: f"Bearer {'x' * 8193}",
    "a good one that is too long": lambda: token(scope="x" * 8193),
    "not a JWT": lambda: "Bearer abc",
    "three parts of nonsense": lambda: "Bearer a.b.c",
    "not ASCII": lambda: "Bearer é.é.é",
    "signed by a stranger with our kid": lambda: token(STRANGER),
    "a kid that is not known": lambda: token(header={"kid": "other"}),
    "no kid": lambda: "Bearer " + jwt.encode({"alg": "ES256"}, claims(), EC),
    "a kid that is no text": lambda: by_hand({"alg": "ES256", "kid": 1}, b"x"),
    "alg none": lambda: by_hand({"alg": "none", "kid": "ec"}, b""),
    "alg HS256 over the public key as PEM": lambda: by_hand({"alg": "HS256", "kid": "ec"}, pem()),
    "alg HS256 over the public key as JWK": lambda: by_hand(
        {"alg": "HS256", "kid": "rsa"}, orjson.dumps(RSA.as_dict(private=False))
    ),
    "alg of the other kind of key": lambda: by_hand({"alg": "ES256", "kid": "rsa"}, b"x"),
    "alg PS256, which we do not take": lambda: (
        "Bearer "
        + jwt.encode(
            {"alg": "PS256", "kid": "rsa"},
            claims(),
            RSAKey.import_key(RSA.as_dict(private=True) | {"alg": "PS256"}),
            algorithms=["PS256"],
        )
    ),
    "crit": lambda: by_hand({"alg": "ES256", "kid": "ec", "crit": ["b64"], "b64": False}, b"x"),
    "another kind of token": lambda: token(header={"typ": "dpop+jwt"}),
    "a key brought along": lambda: (
        "Bearer " + jwt.encode({"alg": "ES256", "kid": "mine", "jwk": STRANGER.as_dict(private=False)}, claims(), STRANGER)
    ),
    "another issuer": lambda: token(iss="other"),
    "no issuer": lambda: token(iss=None),
    "another audience": lambda: token(aud="other"),
    "several audiences, not ours": lambda: token(aud=["a", "b"]),
    "no audience": lambda: token(aud=None),
    "expired": lambda: token(exp=int(time.time()) - LEEWAY - 1),
    "no expiry": lambda: token(exp=None),
    "an expiry that is no number": lambda: token(exp="soon"),
    "not yet": lambda: token(nbf=int(time.time()) + LEEWAY + 5),
    "issued in the future": lambda: token(iat=int(time.time()) + LEEWAY + 5),
    "nobody": lambda: token(sub=None),
    "an empty subject": lambda: token(sub=""),
    "a subject that is no text": lambda: token(sub=1),
    "scopes that are no text": lambda: token(scope=["orders:read"]),
    "a source that is no text": lambda: token(source=["/shops/a"]),
    "an empty source": lambda: token(source=""),
    "a subject with a NUL": lambda: token(sub="shop\0"),
    "a source with a line break": lambda: token(source="/shops/a\n"),
    "types that are null": lambda: "Bearer " + jwt.encode({"alg": "ES256", "kid": "ec"}, claims() | {"publishes": None}, EC),
    "types that are a list": lambda: token(publishes=["order.paid"]),
    "a source that is null": lambda: "Bearer " + jwt.encode({"alg": "ES256", "kid": "ec"}, claims() | {"source": None}, EC),
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_wrong_token_is_refused_and_not_repeated(authenticator: Authenticator, what: str) -> None:
    wrong = WRONG[what]()
    for _ in range(2):
        with pytest.raises(Unauthenticated) as refused:
            await authenticator.authenticate(wrong)
        assert len(wrong) < 12 or wrong[-20:] not in refused.value.detail


@pytest.mark.parametrize(
    "good", [{"exp": NOW + 5 - LEEWAY}, {"nbf": NOW + LEEWAY - 5}, {"aud": ["other", "orderbus"]}, {"scope": None}]
)
async def test_clocks_may_differ_a_little(authenticator: Authenticator, good: dict[str, Any]) -> None:
    if "exp" in good:
        good = {"exp": int(time.time()) - LEEWAY + 5}
    elif "nbf" in good:
        good = {"nbf": int(time.time()) + LEEWAY - 5}
    assert await authenticator.authenticate(token(**good)) is not None


async def test_a_token_that_is_known_expires_all_the_same(authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch) -> None:
    now = int(time.time())
    known = token(exp=now + 60)
    assert await authenticator.authenticate(known) is not None

    monkeypatch.setattr(time, "time", lambda: now + 60 + LEEWAY - 1.0)
    assert await authenticator.authenticate(known) is not None
    monkeypatch.setattr(time, "time", lambda: now + 60 + LEEWAY + 1.0)
    with pytest.raises(Unauthenticated, match="expired"):
        await authenticator.authenticate(known)


async def test_a_changed_byte_is_noticed_even_of_a_token_that_is_known(authenticator: Authenticator) -> None:
    good = token()
    assert await authenticator.authenticate(good) is not None
    head, payload, signature = good.split(".")
    forged = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged["scope"] = "ops:read"
    payload = base64.urlsafe_b64encode(orjson.dumps(forged)).rstrip(b"=").decode()
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(f"{head}.{payload}.{signature}")


@pytest.mark.filterwarnings("ignore:Key size")
def test_only_strong_public_signing_keys_with_a_name_are_taken() -> None:
    short = RSAKey.generate_key(1024, {"kid": "short"})
    other_curve = ECKey.generate_key("P-384", {"kid": "p384"})
    secret = {"kty": "oct", "kid": "secret", "k": base64.urlsafe_b64encode(b"x" * 32).decode()}
    encrypting = RSA.as_dict(private=False) | {"kid": "enc", "use": "enc"}
    nameless = {name: value for name, value in EC.as_dict(private=False).items() if name != "kid"}
    document = {
        "keys": [
            short.as_dict(private=False),
            other_curve.as_dict(private=False),
            secret,
            encrypting,
            nameless,
            EC.as_dict(private=True),
        ]
    }

    assert list(read_keys(orjson.dumps(document))) == ["ec"]
    assert not read_keys(orjson.dumps(document))["ec"].is_private
    for nonsense in (b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": [1]}'):
        with pytest.raises(ValueError, match="not a JWKS"):
            read_keys(nonsense)


def test_a_file_without_keys_or_a_plain_address_is_noticed_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_bytes(b'{"keys": []}')
    for place in (str(tmp_path / "jwks.json"), "http://issuer.example/jwks.json"):
        with pytest.raises(ValueError, match="ORDERBUS_AUTH_JWKS"):
            Keys.of(some_settings(place))


class Issuer:
    """What is behind the address, and how often it was asked."""

    def __init__(self, *keys: Any) -> None:
        self.keys = keys
        self.asked = 0
        self.is_up = True
        self.now = 1000.0

    async def load(self) -> bytes:
        self.asked += 1
        if not self.is_up:
            raise ClientConnectionError("no")
        return jwks(*self.keys)


async def test_a_key_that_is_not_known_is_asked_for_but_not_at_every_token(tmp_path: Path) -> None:
    issuer = Issuer(EC)
    authenticator = Authenticator(some_settings("unused"), Keys(issuer.load, lambda: issuer.now))
    assert await authenticator.authenticate(token()) is not None
    issuer.keys = (EC, RSA)

    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await authenticator.authenticate(token(RSA))
    assert issuer.asked == 1

    issuer.now += ASKED_AGAIN_AFTER + 1
    assert await authenticator.authenticate(token(RSA)) is not None
    assert issuer.asked == 2


async def test_a_key_that_was_withdrawn_opens_no_door_any_more(tmp_path: Path) -> None:
    issuer = Issuer(EC, RSA)
    authenticator = Authenticator(some_settings("unused"), Keys(issuer.load, lambda: issuer.now))
    known = token()
    assert await authenticator.authenticate(known) is not None
    issuer.keys = (RSA,)

    issuer.now += REFRESHED_AFTER + 1
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(known)
    assert await authenticator.authenticate(token(RSA)) is not None


async def test_an_issuer_that_is_down_stops_nobody_who_is_known(tmp_path: Path) -> None:
    issuer = Issuer(EC)
    authenticator = Authenticator(some_settings("unused"), Keys(issuer.load, lambda: issuer.now))
    issuer.is_up = False
    for _ in range(3):
        with pytest.raises(Unavailable):
            await authenticator.authenticate(token())
    assert issuer.asked == 1

    issuer.is_up, issuer.now = True, issuer.now + ASKED_AGAIN_AFTER + 1
    assert await authenticator.authenticate(token()) is not None
    issuer.is_up, issuer.now = False, issuer.now + REFRESHED_AFTER + 1
    assert await authenticator.authenticate(token()) is not None
    assert await authenticator.authenticate(token(source="/shops/a")) is not None
