"""The stack's generated secrets: made once, kept in a file that only its owner can read."""

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deploy.stack.state import StackFolder

FILE = "credentials.json"

SERVICES = ("orders", "inventory", "payments", "logistics")


def _password() -> str:
    return secrets.token_hex(24)


_MADE: Mapping[str, Callable[[], str]] = {
    "postgres": _password,
    "rabbitmq": _password,
    "redis": _password,
    **{f"role_{service}": _password for service in SERVICES},
    **{f"bus_{service}": _password for service in SERVICES},
    "stripe_secret_key": lambda: f"sk_test_{secrets.token_hex(24)}",
    "stripe_webhook_secret": lambda: f"whsec_{secrets.token_hex(24)}",
    "dhl_username": lambda: f"ap{secrets.token_hex(6)}",
    "dhl_password": _password,
    "dhl_account": lambda: str(secrets.randbelow(900_000_000) + 100_000_000),
    # Standard Webhooks: the key is what the base64 stands for.
    "dhl_webhook_secret": lambda: f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}",
    "twilio_account_sid": lambda: f"AC{secrets.token_hex(16)}",
    "twilio_auth_token": lambda: secrets.token_hex(16),
}
"""What each secret looks like at the partner who would issue it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Every secret of one stack, by name."""

    values: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    @property
    def role_passwords(self) -> dict[str, str]:
        """The password of each service's own login role at Postgres, by service."""
        return {service: self.values[f"role_{service}"] for service in SERVICES}

    @property
    def bus_passwords(self) -> dict[str, str]:
        """The password of each service's own user at RabbitMQ, by service."""
        return {service: self.values[f"bus_{service}"] for service in SERVICES}


def keep(folder: StackFolder) -> Credentials:
    """The stack's secrets; what is missing is made now, what is there never changes."""
    known = {name: str(value) for name, value in folder.read(FILE).items()}
    values = {name: known.get(name) or make() for name, make in _MADE.items()}
    if values != known:
        folder.write(FILE, values)
    return Credentials(values)
