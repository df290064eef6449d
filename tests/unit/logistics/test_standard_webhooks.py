"""Signatures of tracking webhooks."""

import base64
import hmac
from hashlib import sha256

import pytest

from services.logistics.standard_webhooks import NotSigned, keys, verify
from tests.unit.logistics.parcels import NOON, at

OLD, NEW = (f"whsec_{base64.b64encode(each * 32).decode()}" for each in (b"o", b"n"))
BODY = b'{"shipments":[]}'


def signature(secret: str, id: str = "msg_1", sent: int = int(NOON.timestamp()), body: bytes = BODY) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, f"{id}.{sent}.".encode() + body, sha256).digest()).decode()


def headers(*signatures: str, id: str = "msg_1", sent: str = str(int(NOON.timestamp()))) -> dict[str, str]:
    return {"webhook-id": id, "webhook-timestamp": sent, "webhook-signature": " ".join(signatures)}


def test_the_specifications_own_example_is_accepted() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    given = headers("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", id="msg_p5jXN8AQM9LWM0D4loKWxJek", sent="1614265330")

    then = at(0).fromtimestamp(1614265330, NOON.tzinfo)
    assert verify(keys(secret), given, b'{"test": 2432232314}', then) == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_a_secret_is_changed_without_a_gap() -> None:
    assert verify(keys(f"{NEW},{OLD}"), headers(signature(OLD)), BODY, NOON) == "msg_1"
    assert verify(keys(f"{NEW}, {OLD}"), headers(signature(NEW)), BODY, NOON) == "msg_1"
    assert verify(keys(OLD), headers("v1a,other", signature(NEW), signature(OLD)), BODY, NOON) == "msg_1"


def test_a_webhook_is_good_for_five_minutes() -> None:
    given = headers(signature(OLD))

    assert verify(keys(OLD), given, BODY, at(5)) == "msg_1"
    for late in (5.1, -5.1):
        with pytest.raises(NotSigned, match="five minutes"):
            verify(keys(OLD), given, BODY, at(late))


@pytest.mark.parametrize(
    "forged",
    [
        {},
        headers(),
        headers(signature(NEW)),
        headers(signature(OLD, id="msg_2")),
        headers(signature(OLD, body=b"{}")),
        headers(signature(OLD).removeprefix("v1,")),
        headers(signature(OLD).replace("v1,", "v2,")),
        headers(signature(OLD), sent="now"),
        headers(signature(OLD), sent="9" * 400),
        headers("v1,签名"),
    ],
)
def test_a_forged_webhook_is_refused(forged: dict[str, str]) -> None:
    with pytest.raises(NotSigned):
        verify(keys(OLD), forged, BODY, NOON)


def test_a_webhook_without_an_id_to_know_it_by_is_refused_even_if_it_is_signed() -> None:
    longest = "x" * 256
    assert verify(keys(OLD), headers(signature(OLD, id=longest), id=longest), BODY, NOON) == longest
    for id in ("", longest + "x"):
        with pytest.raises(NotSigned, match="webhook-id"):
            verify(keys(OLD), headers(signature(OLD, id=id), id=id), BODY, NOON)


def test_without_a_secret_every_webhook_is_refused() -> None:
    with pytest.raises(NotSigned):
        verify((), headers(signature(OLD)), BODY, NOON)


@pytest.mark.parametrize("secret", ["", "c2VjcmV0", "whsec_!", f"{OLD},", "whsec_", "whsec_c2VjcmV0", f"{OLD},whsec_"])
def test_a_secret_that_is_none_is_refused_at_the_start(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        keys(secret)
