"""Which carrier takes which parcel."""

from collections.abc import Collection, Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from shared.events.fields import Address


class CarrierName(StrEnum):
    """Every carrier there is; a rule that names another is refused when the service starts."""

    OWN_FLEET = "own_fleet"
    DHL = "dhl"


class Rule(BaseModel):
    """Parcels to this country, and to postcodes that begin so, go with this carrier. What is not said fits all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    country: str | None = None
    postcode_prefix: str = ""
    carrier: CarrierName

    def fits(self, ship_to: Address) -> bool:
        """Whether the rule is for this address."""
        return self.country in (None, ship_to.country) and ship_to.postcode.startswith(self.postcode_prefix)


def pick(rules: Sequence[Rule], offered: Collection[str], ship_to: Address) -> CarrierName | None:
    """The carrier of the first rule that fits, among those offered; None when nobody goes there."""
    return next((rule.carrier for rule in rules if rule.carrier in offered and rule.fits(ship_to)), None)
