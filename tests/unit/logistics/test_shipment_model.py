"""A shipment and its carrier: whatever is told, asked, lost or scanned at any moment, there is one parcel or none."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.logistics import shipping
from services.logistics.shipping import (
    Answer,
    Booked,
    Collected,
    Kind,
    NotBooked,
    Refused,
    Shipment,
    State,
    Told,
    Unknown,
    Withdrawn,
)
from services.logistics.tracking import scanned
from tests.builders import a_paid_order
from tests.unit.logistics.parcels import a_scan, an_unknown_shipment, at

WAYBILL = "1234567890"


class Shipments(RuleBasedStateMachine):
    """One order's parcel. The model is a label at the carrier: none, live, void, or on a parcel that was collected."""

    def __init__(self) -> None:
        super().__init__()
        self.shipment = an_unknown_shipment()
        self.label = "none"
        self.minutes = 0
        self.asked_to_book = False
        self.said: list[str] = []
        self.failures = 0
        self.answered = 0

    def become(self, after: Shipment) -> None:
        self.minutes += 1
        self.said += [event.type for event in shipping.follows(self.shipment, after)]
        self.shipment = after

    @rule()
    def is_paid(self) -> None:
        self.become(shipping.pay(self.shipment, a_paid_order(), "dhl", at(self.minutes)))

    @rule()
    def is_deducted(self) -> None:
        self.become(shipping.deduct(self.shipment, at(self.minutes)))

    @rule()
    def is_cancelled(self) -> None:
        open_errand = self.asked_to_book and self.shipment.needs_waybill
        self.become(shipping.cancel(self.shipment, at(self.minutes), may_be_booked=open_errand))

    @rule(minutes=st.integers(-60, 60))
    def is_released(self, minutes: int) -> None:
        if self.shipment.state is State.FAILED:
            self.answered = self.failures
        self.become(shipping.release(self.shipment, "dhl", at(self.minutes + minutes)))

    @precondition(lambda self: self.books or self.looks)
    @rule(lost=st.sampled_from(["", "", "there", "back"]), refused=st.sampled_from([False, False, True]))
    def asks_the_carrier(self, lost: str, refused: bool) -> None:
        books, self.asked_to_book = self.books, True
        answer: Answer
        if lost == "there":
            answer = Unknown()
        elif self.label != "none":
            answer = Booked(WAYBILL)
        elif not books:
            answer = NotBooked()
        elif refused:
            answer = Refused("DHL: no such place")
        else:
            self.label, answer = "live", Booked(WAYBILL)
        self.become(shipping.learn(self.shipment, Unknown() if lost else answer, at(self.minutes)))

    @precondition(lambda self: self.shipment.owes(Kind.WITHDRAW))
    @rule(lost=st.booleans())
    def withdraws(self, lost: bool) -> None:
        if self.label == "live":
            self.label = "void"
        answer = Unknown() if lost else Withdrawn() if self.label == "void" else Collected(at(0))
        self.become(shipping.learn(self.shipment, answer, at(self.minutes)))

    @precondition(lambda self: self.shipment.owes(Kind.NOTIFY))
    @rule()
    def tells_the_shopper(self) -> None:
        self.become(shipping.learn(self.shipment, Told("sms"), at(self.minutes)))

    @precondition(lambda self: self.label == "live")
    @rule()
    def is_collected(self) -> None:
        self.label = "collected"

    @precondition(lambda self: self.label == "collected" and self.shipment.waybill)
    @rule()
    def is_scanned_on_its_way(self) -> None:
        self.become(scanned(self.shipment, [a_scan("transit", self.failures, waybill=WAYBILL)]))

    @precondition(lambda self: self.label == "collected" and self.shipment.waybill)
    @rule(again=st.booleans())
    def is_not_handed_over(self, again: bool) -> None:
        """By the carrier's clock, which counts failures and knows nothing of ours."""
        self.failures += not (again and self.failures)
        self.become(scanned(self.shipment, [a_scan("failure", self.failures, "nobody at home", WAYBILL)]))

    @property
    def books(self) -> bool:
        return self.shipment.owes(Kind.BOOK)

    @property
    def looks(self) -> bool:
        """It was cancelled while the carrier was asked, so what became of that is to be found out."""
        return bool(self.shipment.cancelled_at and not self.shipment.withdrawn_at and not self.shipment.waybill)

    @invariant()
    def there_is_one_parcel_or_none(self) -> None:
        for once in ("shipment.created", "tracking.pushed", "shipment.in_transit", "shipment.cancelled"):
            assert self.said.count(once) <= 1, once
        assert self.label == "none" or (self.shipment.paid_at and self.shipment.deducted_at)
        assert (self.shipment.waybill is None) or self.label != "none"
        if self.shipment.state is State.CANCELLED and self.shipment.withdrawn_at:
            assert self.label in ("none", "void")

    @invariant()
    def a_failure_that_nobody_has_seen_is_shown(self) -> None:
        if self.failures:
            assert (self.shipment.state is State.FAILED) == (self.failures > self.answered)

    def teardown(self) -> None:
        for _ in range(3):
            if self.books or self.looks:
                self.asks_the_carrier("", refused=False)
            if self.shipment.owes(Kind.WITHDRAW):
                self.withdraws(lost=False)
            if self.shipment.owes(Kind.NOTIFY):
                self.tells_the_shopper()

        if self.shipment.cancelled_at:
            assert self.label != "live"
        elif self.shipment.paid_at and self.shipment.deducted_at and not self.shipment.refused:
            assert self.label in ("live", "collected")
            assert self.said.count("tracking.pushed") == 1


TestShipments = Shipments.TestCase
TestShipments.settings = settings(max_examples=80, stateful_step_count=30)
