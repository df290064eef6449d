"""On account: the shopper is billed later, so the money counts as ours at once. There is no partner."""

from services.payments import refunds
from services.payments.charging import Errand, Payment
from services.payments.facts import Answer, Captured
from services.payments.refunds import Refund


class Invoice:
    """Our own books are the proof: the references are our own ids."""

    name = "invoice"
    at_once = True

    async def carry_out(self, errand: Errand, payment: Payment) -> Answer:
        """Whatever is asked, it is on the bill."""
        return Captured(str(payment.id), payment.terms.amount)

    async def refund(self, payment: Payment, refund: Refund) -> refunds.Answer:
        """Taken off the bill."""
        return refunds.Sent(refund.id)
