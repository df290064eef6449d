"""Settings of logistics, beside those every service has."""

from functools import cache

from pydantic import Field, PositiveInt, SecretStr, field_validator

from services.logistics import header_token, standard_webhooks
from services.logistics.routing import CarrierName, Rule
from shared.events.fields import Address
from shared.settings import Settings

SHIPPER = Address(
    name="Orderbus",
    phone="+8657100000000",
    country="CN",
    province="浙江省",
    city="杭州市",
    line1="一号仓库",
    postcode="310000",
)


class LogisticsSettings(Settings):
    """What logistics is told from outside."""

    routes: tuple[Rule, ...] = Field(
        (Rule(country="CN", carrier=CarrierName.OWN_FLEET), Rule(carrier=CarrierName.DHL)),
        description='Who carries what, the first that fits: [{"country":"CN","postcode_prefix":"31","carrier":"own_fleet"},…].',
    )
    shipper: Address = Field(SHIPPER, description="Where parcels start, as JSON; carriers print it on the label.")
    parcel_kg: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="Weight of a parcel as it is booked, until articles have weights."
    )
    parcel_cm: tuple[PositiveInt, PositiveInt, PositiveInt] = Field(
        (30, 20, 10), description="Length, width and height of a parcel as it is booked."
    )
    own_fleet_prefix: str = Field("OF", pattern=r"^[A-Z]{2,4}$", description="What each number of our own fleet starts with.")
    partner_timeout: float = Field(5, gt=0, le=10, description="Seconds after which a partner's answer is taken as unknown.")
    dhl_url: str | None = Field(None, description="Base URL of MyDHL API; without one DHL is not offered.")
    dhl_username: str = Field("", description="MyDHL API user.")
    dhl_password: SecretStr = Field(SecretStr(""), description="MyDHL API password.")
    dhl_account: str = Field("", description="The shipper's DHL account number.")
    dhl_webhook_secret: SecretStr | None = Field(
        None, description="Standard Webhooks secret (whsec_…) of tracking webhooks; two, comma between, while it is changed."
    )
    dhl_webhook_token: SecretStr | None = Field(
        None, description="Token, at least 32 characters, that DHL's Unified Push sends as webhook-token; two, comma between."
    )
    twilio_url: str | None = Field(None, description="Base URL of Twilio; without one shoppers are told in the app.")
    twilio_account_sid: str = Field("", description="Twilio account.")
    twilio_auth_token: SecretStr = Field(SecretStr(""), description="Twilio token.")
    twilio_from: str = Field("Orderbus", description="Number or name that text messages come from.")

    @field_validator("dhl_webhook_secret")
    @classmethod
    def _is_readable(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            standard_webhooks.keys(secret.get_secret_value())
        return secret

    @field_validator("dhl_webhook_token")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is None or not secret.get_secret_value():  # Docker Compose says nothing by an empty value
            return None
        header_token.tokens(secret.get_secret_value())
        return secret

    @property
    def webhook_keys(self) -> tuple[bytes, ...]:
        """The keys that tracking webhooks may be signed with; none when no secret is set."""
        return standard_webhooks.keys(self.dhl_webhook_secret.get_secret_value()) if self.dhl_webhook_secret else ()

    @property
    def webhook_tokens(self) -> tuple[bytes, ...]:
        """The tokens that tracking webhooks may come with; none when none is set."""
        return header_token.tokens(self.dhl_webhook_token.get_secret_value()) if self.dhl_webhook_token else ()


@cache
def settings() -> LogisticsSettings:
    """Read once from the environment."""
    return LogisticsSettings()
