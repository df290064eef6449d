"""The local token opens everything, to who checks it with the public half alone."""

import json
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from deploy.stack import keys, stack
from deploy.stack.state import open_folder

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


def claims_of(token: str, folder: Path) -> dict[str, object]:
    public = KeySet.import_key_set(json.loads(keys.jwks_path(folder).read_text()))
    return dict(jwt.decode(token, public, algorithms=["ES256"]).claims)


def test_a_token_has_every_scope_for_thirty_days(tmp_path: Path) -> None:
    claims = claims_of(keys.keep(tmp_path, NOW), tmp_path)

    assert claims["iss"] == keys.ISSUER
    assert claims["aud"] == keys.AUDIENCE
    assert claims["sub"] == "local"
    assert claims["exp"] == int((NOW + timedelta(days=30)).timestamp())
    assert str(claims["scope"]).split() == list(keys.SCOPES)


def test_a_systems_token_speaks_for_its_source_only_and_is_kept_nowhere(tmp_path: Path) -> None:
    local = keys.keep(tmp_path, NOW)

    token = of_taobao(tmp_path, "order.paid")

    claims = claims_of(token, tmp_path)
    assert (claims["sub"], claims["source"], claims["publishes"]) == ("taobao-42", "/shops/taobao-42", "order.paid")
    assert str(claims["scope"]).split() == ["events:publish", "orders:read", "orders:write"]
    assert claims["exp"] == int((NOW + timedelta(days=7)).timestamp())
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and token in path.read_text()]
    assert keys.keep(tmp_path, NOW) == local


def of_taobao(folder: Path, *publishes: str) -> str:
    return keys.for_system(folder, "taobao-42", "/shops/taobao-42", publishes, NOW, timedelta(days=7))


def is_good(token: str, folder: Path) -> bool:
    try:
        return bool(claims_of(token, folder))
    except (JoseError, ValueError):
        return False


def test_a_systems_tokens_end_when_it_is_removed_and_nobody_elses(tmp_path: Path) -> None:
    local, first, second = keys.keep(tmp_path, NOW), of_taobao(tmp_path, "order.paid"), of_taobao(tmp_path, "order.paid")
    another = keys.for_system(tmp_path, "erp", "/erp", [], NOW, timedelta(days=7))
    assert all(is_good(token, tmp_path) for token in (local, first, second, another))

    assert keys.end_tokens(tmp_path, "taobao-42")
    assert not keys.end_tokens(tmp_path, "taobao-42")

    assert [is_good(token, tmp_path) for token in (local, first, second, another)] == [True, False, False, True]
    assert is_good(of_taobao(tmp_path, "order.paid"), tmp_path)
    assert not is_good(first, tmp_path)


def test_a_systems_tokens_end_when_it_may_publish_other_types(tmp_path: Path) -> None:
    before = of_taobao(tmp_path, "order.paid", "order.submitted")

    assert not keys.end_tokens(tmp_path, "taobao-42", ["order.submitted", "order.paid"])
    assert is_good(before, tmp_path)
    after = of_taobao(tmp_path, "order.paid")

    assert (is_good(before, tmp_path), is_good(after, tmp_path)) == (False, True)
    assert keys.end_tokens(tmp_path, "taobao-42", [])
    assert not is_good(after, tmp_path)


def test_when_the_stacks_data_is_erased_the_tokens_of_all_systems_end_and_the_local_one_does_not(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    local, systems = keys.keep(tmp_path / "keys", NOW), of_taobao(tmp_path / "keys", "order.paid")

    stack.down(folder=folder)
    assert is_good(systems, tmp_path / "keys")
    stack.down(folder=folder, erase=True)

    assert (is_good(local, tmp_path / "keys"), is_good(systems, tmp_path / "keys")) == (True, False)


def test_what_the_services_are_given_cannot_sign(tmp_path: Path) -> None:
    keys.keep(tmp_path, NOW)

    (public,) = json.loads(keys.jwks_path(tmp_path).read_text())["keys"]

    assert "d" not in public
    assert public["kid"]


def test_containers_are_given_the_public_half_and_nothing_else(tmp_path: Path) -> None:
    made, public = tmp_path / "keys", tmp_path / "jwks"

    subprocess.run([sys.executable, "-m", "deploy.stack.keys", made, public], check=True)

    assert [path.name for path in public.iterdir()] == ["jwks.json"]
    assert claims_of((made / "token").read_text(), public)["sub"] == "local"
    assert "d" not in json.loads(keys.jwks_path(public).read_text())["keys"][0]


def test_key_and_token_are_their_owners_alone(tmp_path: Path) -> None:
    of_taobao(tmp_path)

    kept = [path for path in tmp_path.rglob("*") if path.suffix == ".json" or path.name == "token"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert len(kept) == 4


def test_a_token_is_kept_until_less_than_a_day_is_left(tmp_path: Path) -> None:
    first = keys.keep(tmp_path, NOW)

    assert keys.keep(tmp_path, NOW + timedelta(days=28, hours=23)) == first
    assert keys.keep(tmp_path, NOW + timedelta(days=29, hours=1)) != first


def test_a_token_of_a_clock_that_was_ahead_is_replaced(tmp_path: Path) -> None:
    ahead = keys.keep(tmp_path, NOW + timedelta(days=2))

    renewed = keys.keep(tmp_path, NOW)

    assert renewed != ahead
    assert claims_of(renewed, tmp_path)["iat"] == int(NOW.timestamp())


def test_a_token_of_another_key_is_replaced(tmp_path: Path) -> None:
    stranger = keys.keep(tmp_path / "other", NOW)
    keys.keep(tmp_path / "mine", NOW)
    (tmp_path / "mine" / "token").write_text(stranger)

    renewed = keys.keep(tmp_path / "mine", NOW)

    assert claims_of(renewed, tmp_path / "mine")["sub"] == "local"
