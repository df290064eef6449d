"""Settings of orders, beside those every service has."""

from functools import cache

from pydantic import Field

from shared.settings import Settings


class OrdersSettings(Settings):
    """What orders is told from outside."""

    orders_return_window: float = Field(0, ge=0, description="Seconds after delivery until an order is completed.")
    orders_review_quantity: int = Field(1000, ge=1, description="More pieces of one SKU than this are shown to a person.")


@cache
def settings() -> OrdersSettings:
    """Read once from the environment."""
    return OrdersSettings()
