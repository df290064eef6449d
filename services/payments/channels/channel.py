"""What every payment channel can do."""

from typing import Protocol

from services.payments import refunds
from services.payments.charging import Errand, Payment
from services.payments.facts import Answer
from services.payments.refunds import Refund


class Channel(Protocol):
    """Anything asked twice, for the same payment or refund, happens once and is answered alike.

    Where no answer came, PartnerUnknown is raised: nothing may be concluded from it, and it is asked again.
    """

    @property
    def name(self) -> str:
        """As orders know it."""

    @property
    def at_once(self) -> bool:
        """Whether it answers without asking a partner, and so within a transaction."""

    async def carry_out(self, errand: Errand, payment: Payment) -> Answer:
        """Charge, ask about, capture or void the payment."""

    async def refund(self, payment: Payment, refund: Refund) -> refunds.Answer:
        """Send money of a captured payment back."""
