"""What can become known of a payment: from orders and inventory, and from the provider. None has a wrong moment."""

from dataclasses import dataclass
from datetime import datetime

from shared.money import Money


@dataclass(frozen=True, slots=True)
class Placed:
    """What is to be paid, and how. With `collected_by` the shop has taken it already, and `receipt` is its proof.
    `concerns` are what screening would have a person look at."""

    amount: Money
    channel: str
    token: str | None = None
    collected_by: str | None = None
    receipt: str | None = None
    concerns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reserved:
    """Stock is set aside."""


@dataclass(frozen=True, slots=True)
class Expired:
    """The stock was set aside for as long as was promised, and is not any more. It ends nothing that a person is asked about."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The order will not be fulfilled."""

    reason: str


@dataclass(frozen=True, slots=True)
class Released:
    """A person looked at the held order, at this time, and sent it on its way. `answers` are the times, by our own clock,
    at which we had said that it should be looked at: what was said later, or not heard of yet, is not answered."""

    at: datetime
    answers: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """The provider knows of the charge, under its own id, and it is not decided yet; at `url`, if any, the shopper pays."""

    provider_id: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """The provider holds the shopper's money, and wants a person to decide whether it is taken."""

    provider_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Captured:
    """The money is ours: so much of it, under this id of the charge."""

    reference: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Refused:
    """The channel will not take the money; asking again changes nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The money can no longer be taken: we called the charge off, or it lapsed."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer came; the money may or may not have moved."""

    why: str


Answer = Opened | Held | Captured | Refused | Closed | Unknown
Fact = Placed | Reserved | Expired | Cancelled | Released | Answer
