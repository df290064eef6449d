"""Which carrier takes which parcel."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from shared.events.fields import Address


class CarrierName(StrEnum):
    """Every carrier there is; a rule that names another is refused when the service starts."""

    OWN_FLEET = "own_fleet"
    DHL = "dhl"


class Rule(BaseModel):
    """Parcels to this country, and to postcodes that begin so, go with this carrier. What is not said fits all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None
    postcode_prefix: str = ""
    carrier: CarrierName

    def fits(self, ship_to: Address) -> bool:
        """Whether the rule is for this address."""
        return self.country in (None, ship_to.country) and _plain(ship_to.postcode).startswith(_plain(self.postcode_prefix))


def _plain(postcode: str) -> str:
    """SW1A1AA, which shoppers also write as sw1a 1aa."""
    return "".join(postcode.split()).upper()


def pick(rules: Sequence[Rule], offered: Collection[str], ship_to: Address) -> CarrierName | None:
    """The carrier of the first rule that fits, among those offered; None when nobody goes there."""
    return next((rule.carrier for rule in rules if rule.carrier in offered and rule.fits(ship_to)), None)
