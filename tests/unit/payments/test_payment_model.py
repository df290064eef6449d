"""A payment and its provider: whatever is told, asked or lost at any moment, both end with the same account."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.payments import charging, ledger
from services.payments.charging import Ending, Errand, State
from services.payments.facts import Cancelled, Expired, Fact, Released, Reserved, Unknown
from shared.events.payments import PaymentCaptured, PaymentFailed, PaymentReviewRequired, PaymentVoided
from tests.unit.payments.builders import NOW, a_payment, terms
from tests.unit.payments.test_any_sequence import Provider


class Payments(RuleBasedStateMachine):
    """One payment. The model is the provider itself, and what a person has been shown and has released."""

    @initialize(fate=st.sampled_from(["takes", "declines", "holds", "pays", "leaves"]), worries=st.booleans())
    def start(self, fate: str, worries: bool) -> None:
        self.provider, self.payment = Provider(fate), a_payment()
        self.terms = terms(concerns=("a large amount",) if worries else ())
        self.now = NOW
        self.ends, self.entered = 0, 0
        self.shown: list[tuple[str, ...]] = []
        self.seen_hold = False

    def learn(self, fact: Fact) -> None:
        self.now += timedelta(seconds=1)
        before, self.payment = self.payment, charging.learn(self.payment, fact, self.now)
        for event in charging.follows(before, self.payment):
            self.ends += isinstance(event, PaymentCaptured | PaymentFailed | PaymentVoided)
            if isinstance(event, PaymentReviewRequired):
                self.shown.append(event.reasons)
        self.entered += len(ledger.of_charge(before, self.payment))

    @rule(fact=st.sampled_from(["terms", "reserved", "expired", "cancelled"]))
    def is_told(self, fact: str) -> None:
        facts: dict[str, Fact] = {
            "terms": self.terms,
            "reserved": Reserved(),
            "expired": Expired(),
            "cancelled": Cancelled("changed my mind"),
        }
        self.learn(facts[fact])

    @rule(hours=st.integers(-1, 1))
    def is_released_for_another_reason(self, hours: int) -> None:
        self.learn(Released(self.now + timedelta(hours=hours), (NOW - timedelta(minutes=1),)))

    @precondition(lambda self: self.shown)
    @rule(hours=st.integers(-1, 1))
    def is_released_by_who_has_seen_all(self, hours: int) -> None:
        answers = (self.payment.held_at,) if self.payment.held_at and ("elevated",) in self.shown else ()
        self.seen_hold |= bool(answers)
        self.learn(Released(self.now + timedelta(hours=hours), answers))

    @rule(lost=st.sampled_from(["", "", "on the way there", "on the way back"]))
    def asks(self, lost: str) -> None:
        errand = self.payment.errand
        if errand is None:
            return
        if self.payment.attempted_at is None:
            assert self.payment.reserved
            assert not self.payment.is_called_off
        assert errand is not Errand.CAPTURE or self.seen_hold, "held money is taken only when a person has seen the hold"
        stop_asked = self.payment.stop_asked or errand is Errand.VOID
        self.payment = replace(self.payment, attempted_at=self.payment.attempted_at or self.now, stop_asked=stop_asked)
        if lost == "on the way there":
            self.learn(Unknown("timeout"))
            return
        answer = self.provider.carry_out(errand)
        self.learn(Unknown("timeout") if lost else answer)

    @rule()
    def the_shopper_acts(self) -> None:
        self.provider.shopper_acts()

    @precondition(lambda self: self.payment.attempted_at and self.provider.status in ("paid", "declined", "closed"))
    @rule()
    def a_webhook_comes(self) -> None:
        self.learn(self.provider.tell())

    @invariant()
    def what_is_said_is_so(self) -> None:
        assert self.ends == (self.payment.ending is not None)
        assert self.entered == (self.payment.ending is Ending.CAPTURED)
        match self.payment.ending:
            case Ending.CAPTURED:
                assert self.provider.status == "paid"
            case Ending.FAILED | Ending.VOIDED:
                assert self.provider.status in ("new", "declined", "closed")

    def teardown(self) -> None:
        if not hasattr(self, "payment"):
            return
        for fact in (self.terms, Reserved(), Expired()):
            self.learn(fact)
        for _ in range(4):
            self.asks("")
        if self.payment.ending is None:  # of what a person was asked about nothing else calls it off
            self.learn(Cancelled("nobody wants it"))
            for _ in range(4):
                self.asks("")

        assert self.payment.state in (State.CAPTURED, State.FAILED, State.VOIDED)
        assert (self.payment.state is State.CAPTURED) == (self.provider.status == "paid")
        assert self.provider.status not in ("open", "held")


TestPayments = Payments.TestCase
TestPayments.settings = settings(max_examples=80, stateful_step_count=30)
