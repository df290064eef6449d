"""A channel that an order names and that there is not: refused like a bad card, so that the shopper hears why."""

from services.payments import refunds
from services.payments.charging import Errand, Payment
from services.payments.facts import Answer, Refused
from services.payments.refunds import Refund


class Unoffered:
    """Takes no money, so there is never any to give back."""

    at_once = True

    def __init__(self, name: str) -> None:
        self.name = name

    async def carry_out(self, errand: Errand, payment: Payment) -> Answer:
        """No."""
        return Refused(f"there is no payment channel {self.name}")

    async def refund(self, payment: Payment, refund: Refund) -> refunds.Answer:
        """No."""
        return refunds.Refused(f"there is no payment channel {self.name}")
