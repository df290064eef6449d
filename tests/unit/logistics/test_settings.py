"""What logistics is told from outside."""

import base64
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.logistics.routing import CarrierName, Rule
from services.logistics.settings import LogisticsSettings


@pytest.fixture(autouse=True)
def _needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POSTGRES_URL", "RABBITMQ_URL", "AUTH_JWKS"):
        monkeypatch.setenv(f"ORDERBUS_{name}", "-")


def test_routes_come_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERBUS_ROUTES", '[{"country":"DE","postcode_prefix":"1","carrier":"dhl"}]')

    assert LogisticsSettings().routes == (Rule(country="DE", postcode_prefix="1", carrier=CarrierName.DHL),)


def test_a_route_with_a_carrier_that_does_not_exist_stops_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERBUS_ROUTES", '[{"carrier":"pigeon"}]')

    with pytest.raises(ValidationError, match="own_fleet"):
        LogisticsSettings()


@pytest.mark.parametrize(("name", "value"), [("KG", "0"), ("KG", "inf"), ("CM", "[30,20,0]"), ("CM", "[30,-20,10]")])
def test_a_parcel_that_nobody_can_carry_stops_the_service(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"ORDERBUS_PARCEL_{name}", value)

    with pytest.raises(ValidationError):
        LogisticsSettings()


def test_the_webhook_secret_comes_from_a_file_and_may_be_two(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets = [f"whsec_{base64.b64encode(key).decode()}" for key in (b"new" * 8, b"old" * 8)]
    (tmp_path / "secret").write_text(",".join(secrets))
    monkeypatch.setenv("ORDERBUS_DHL_WEBHOOK_SECRET_FILE", str(tmp_path / "secret"))

    assert LogisticsSettings().webhook_keys == (b"new" * 8, b"old" * 8)


def test_a_webhook_secret_that_is_none_stops_the_service_without_being_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERBUS_DHL_WEBHOOK_SECRET", "whsec_*secret*")

    with pytest.raises(ValidationError) as refusal:
        LogisticsSettings()
    assert "*secret*" not in str(refusal.value)


def test_a_webhook_token_that_could_be_guessed_stops_the_service_without_being_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERBUS_DHL_WEBHOOK_TOKEN", "*guessed*")

    with pytest.raises(ValidationError, match="32 characters") as refusal:
        LogisticsSettings()
    assert "*guessed*" not in str(refusal.value)


def test_no_webhook_token_is_none_and_an_empty_one_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERBUS_DHL_WEBHOOK_TOKEN", "")

    assert LogisticsSettings().webhook_tokens == ()
