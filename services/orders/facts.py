"""Parts of what is known of an order."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from shared.money import Money


class Fact(BaseModel):
    """A part of what is known of an order."""

    model_config = ConfigDict(frozen=True)


class Hold(Fact):
    """Why a person must look, and since when by the clock of who said so. `in_doubt`: the payment partner may have money that
    is not in the books; that the order is called off does not answer it. `of_refund`: money that was to go back has not; that the
    parcel has arrived does not answer it."""

    reason: str
    at: datetime
    in_doubt: bool = False
    of_refund: bool = False


class Cancellation(Fact):
    """A person called the order off."""

    reason: str
    at: datetime


class Parcel(Fact):
    """The parcel that was made for the order."""

    shipment_id: str
    carrier: str
    waybill: str


class Claim(Fact):
    """What another system says it gave back, which it may say before its order is known here. It counts once that
    system is known to be the one that took the money, and there is so much left of it."""

    source: str
    refund_id: str
    amount: Money
    reference: str
    at: datetime


ORDER_CANCELLED = "order_cancelled"
"""Why what is left of a cancelled order's money goes back."""


class Refund(Fact):
    """Money owed back, and whether it went. `by_hand`: the reference of the transfer by which `asked_by` says that it did;
    `returned`: why, as `returned_by` says, the bank has sent that one back."""

    amount: int
    reason: str
    reference: str | None = None
    failure: str | None = None
    asked_by: str | None = None
    by_hand: str | None = None
    returned: str | None = None
    returned_by: str | None = None

    @property
    def is_of_cancellation(self) -> bool:
        """No person asked for it: the order was cancelled."""
        return self.reason == ORDER_CANCELLED and self.asked_by is None

    @property
    def is_owed(self) -> bool:
        """It is still to be sent: what a shop gave back by its own decision is not asked for again."""
        return self.reference is None and self.failure is None

    @property
    def is_refused(self) -> bool:
        """It will not be sent, and nobody says that it was."""
        return self.failure is not None and self.reference is None

    @property
    def refusal(self) -> str:
        """The refusal in words."""
        return f"refund refused: {self.failure}"


GIVEN_BACK_UNASKED = Refund(amount=0, reason="refunded")
"""What a shop gave back by its own decision; how much is known once we hear it from the shop."""
