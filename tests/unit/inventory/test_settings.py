"""What inventory is told from outside."""

import pytest
from pydantic import ValidationError

from services.inventory.settings import InventorySettings


def test_a_threshold_that_no_product_may_have_stops_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POSTGRES_URL", "RABBITMQ_URL", "AUTH_JWKS"):
        monkeypatch.setenv(f"ORDERBUS_{name}", "-")
    monkeypatch.setenv("ORDERBUS_INVENTORY_LOW_STOCK_THRESHOLD", str(2**31))

    with pytest.raises(ValidationError, match="low_stock_threshold"):
        InventorySettings()
