"""What payments is told from outside."""

from functools import cache

from pydantic import Field, SecretStr

from shared.settings import Settings


class PaymentsSettings(Settings):
    """Every service's settings, and those of the payment provider and of screening."""

    stripe_url: str = Field(
        "https://api.stripe.com", description="Base URL of Stripe's API, or of the sandbox that stands in for it."
    )
    stripe_secret_key: SecretStr = Field(description="Stripe's secret API key.")
    stripe_webhook_secret: SecretStr = Field(
        description="Secret that Stripe signs webhooks with; two, separated by a comma, while one replaces the other."
    )
    partner_timeout: float = Field(5, gt=0, description="Seconds after which a call to the provider counts as unanswered.")
    checkout_return_url: str = Field(
        "https://shop.example/checkout",
        description="Where the provider's page sends the shopper back to; ?order_id= is added.",
    )
    review_above: int = Field(5_000_000, ge=0, description="A person looks at payments above it, in minor units of any currency.")

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The secrets a webhook may be signed with."""
        return tuple(each.strip() for each in self.stripe_webhook_secret.get_secret_value().split(",") if each.strip())


@cache
def settings() -> PaymentsSettings:
    """Read once; a change needs a restart."""
    return PaymentsSettings()
