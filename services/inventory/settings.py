"""What inventory is told from outside, beside what every service is told."""

from datetime import timedelta
from functools import cache

from pydantic import Field

from shared.settings import Settings


class InventorySettings(Settings):
    """`ORDERBUS_INVENTORY_…`: how long stock is set aside, and when it counts as low."""

    inventory_reservation_ttl: float = Field(
        900, gt=0, le=86_400 * 30, description="Seconds that stock stays set aside for an order that is not paid."
    )
    inventory_low_stock_threshold: int = Field(
        5, ge=0, le=1_000_000_000, description="Pieces below which stock is low, for products that do not say their own."
    )

    @property
    def reservation_ttl(self) -> timedelta:
        """How long an unpaid order keeps its stock."""
        return timedelta(seconds=self.inventory_reservation_ttl)


@cache
def settings() -> InventorySettings:
    """Read once: a change takes effect with the next start."""
    return InventorySettings()
