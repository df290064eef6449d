"""What the sandbox must be told: where it listens, the secrets it shares with the product, where webhooks go."""

import base64
import binascii
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

WHSEC = "whsec_"


def _standard_webhooks_secret(secret: SecretStr) -> SecretStr:
    encoded = secret.get_secret_value()
    if not encoded.startswith(WHSEC):
        raise ValueError("must start with whsec_")
    try:
        base64.b64decode(encoded.removeprefix(WHSEC), validate=True)
    except binascii.Error as error:
        raise ValueError("must be base64 after whsec_") from error
    return secret


Secret = Annotated[SecretStr, Field(min_length=1)]
HttpUrlOrEmpty = Annotated[str, Field(pattern=r"^(https?://.+)?$")]


class Settings(BaseSettings):
    """Read from the environment, each with the prefix ORDERBUS_."""

    model_config = SettingsConfigDict(env_prefix="ORDERBUS_")

    host: str = "127.0.0.1"
    port: int = 8000

    stripe_secret_key: Secret
    stripe_webhook_secret: Secret
    dhl_username: Secret
    dhl_password: Secret
    dhl_account: Annotated[str, Field(min_length=1)]
    dhl_webhook_secret: Annotated[SecretStr, AfterValidator(_standard_webhooks_secret)]
    twilio_account_sid: Annotated[str, Field(min_length=1)]
    twilio_auth_token: Secret

    sandbox_stripe_webhook_url: HttpUrlOrEmpty = ""
    sandbox_dhl_webhook_url: HttpUrlOrEmpty = ""

    @classmethod
    def from_environment(cls) -> "Settings":
        """Raises ValidationError naming every setting that is missing."""
        from_environment_alone: dict[str, Any] = {}
        return cls(**from_environment_alone)
