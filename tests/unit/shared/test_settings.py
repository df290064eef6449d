"""What a process says of settings that it cannot start with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]

NEEDED = {f"ORDERBUS_{name}": "-" for name in ("POSTGRES_URL", "RABBITMQ_URL", "AUTH_JWKS")}


def test_settings_that_are_missing_are_named_as_they_are_set() -> None:
    assert _said("services.orders", {}) == (
        "ORDERBUS_POSTGRES_URL is not set\nORDERBUS_RABBITMQ_URL is not set\nORDERBUS_AUTH_JWKS is not set\n"
    )
    assert "ORDERBUS_TWILIO_AUTH_TOKEN is not set\n" in _said("deploy.sandbox", {})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"PORT": "http"}, "ORDERBUS_PORT: Input should be a valid integer"),
        ({"ROUTES": '[{"carrier": "pigeon"}]'}, "ORDERBUS_ROUTES.0.carrier: Input should be 'own_fleet' or 'dhl'"),
        ({"ROUTES": "["}, '"routes"'),
        ({"DHL_PASSWORD_FILE": "/there/is/none"}, "No such file or directory: '/there/is/none'"),
        ({"DHL_WEBHOOK_TOKEN": "sesame"}, "ORDERBUS_DHL_WEBHOOK_TOKEN: "),
    ],
)
def test_a_setting_that_is_wrong_is_named_without_its_value(wrong: dict[str, str], said: str) -> None:
    answer = _said("services.logistics", NEEDED | {f"ORDERBUS_{name}": value for name, value in wrong.items()})

    assert said in answer
    assert "sesame" not in answer
    assert "Traceback" not in answer


def _said(program: str, told: dict[str, str]) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ORDERBUS_")}
    command = [sys.executable, "-m", program]
    answer = subprocess.run(command, cwd=CHECKOUT, env=environment | told, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    return answer.stderr
