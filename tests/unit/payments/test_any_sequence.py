"""Facts come twice, late and in any sequence; the job runs whenever it likes; the end is the same, and there is one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.payments import charging, ledger
from services.payments.charging import Errand, Payment
from services.payments.facts import (
    Answer,
    Cancelled,
    Captured,
    Closed,
    Expired,
    Fact,
    Held,
    Opened,
    Refused,
    Released,
    Reserved,
    Unknown,
)
from shared.events import Event
from shared.events.payments import PaymentCaptured, PaymentFailed, PaymentVoided
from tests.unit.payments.builders import NOW, PRICE, SOON, a_payment, an_attempted_payment, terms

ENDS = (PaymentCaptured, PaymentFailed, PaymentVoided)

OUTSIDE: list[Fact] = [terms(), Reserved(), Cancelled("changed my mind"), Expired(), Released(SOON)]

TOLD: dict[str, list[Fact]] = {
    "a card that is taken": [Captured("pi_1", PRICE), Unknown("timeout")],
    "a card that is declined": [Refused("generic_decline"), Unknown("timeout")],
    "a card that is held, and taken": [Held("pi_1", "elevated"), Released(SOON, (NOW,)), Captured("pi_1", PRICE)],
    "a session that is paid": [Opened("cs_1", "https://pay.example"), Captured("pi_1", PRICE), Unknown("timeout")],
    "a session that fails": [Opened("cs_1", "https://pay.example"), Refused("payment_failed")],
    "a session that lapses": [Opened("cs_1", "https://pay.example"), Closed()],
}


def run(payment: Payment, facts: Sequence[Fact]) -> tuple[Payment, list[Event], int]:
    """The end state, everything announced, and how often money was entered as captured."""
    events: list[Event] = []
    entered = 0
    for fact in facts:
        after = charging.learn(payment, fact, NOW)
        events += charging.follows(payment, after)
        entered += len(ledger.of_charge(payment, after))
        payment = after
    return payment, events, entered


def some_twice(facts: Sequence[Fact]) -> st.SearchStrategy[list[Fact]]:
    """Any sequence of the facts, with any of them repeated."""
    repeats = st.lists(st.sampled_from(facts), max_size=4)
    return repeats.flatmap(lambda again: st.permutations([*facts, *again]))


@given(st.sets(st.sampled_from(range(len(OUTSIDE))), min_size=1).map(sorted), st.booleans(), st.data())
def test_what_orders_and_inventory_say_adds_up_to_the_same_in_any_sequence(
    chosen: list[int], worries: bool, data: st.DataObject
) -> None:
    facts = [OUTSIDE[i] for i in chosen]
    if worries and facts and facts[0] == terms():
        facts[0] = terms(concerns=("a large amount",))

    expected, _, _ = run(a_payment(), facts)
    actual, events, _ = run(a_payment(), data.draw(some_twice(facts)))

    assert actual == expected
    assert sum(isinstance(event, ENDS) for event in events) == (expected.ending is not None)


@given(st.sampled_from(sorted(TOLD)), st.booleans(), st.data())
def test_what_the_provider_says_adds_up_to_the_same_in_any_sequence(story: str, cancelled: bool, data: st.DataObject) -> None:
    facts = TOLD[story] + ([Cancelled("changed my mind")] if cancelled else [])

    expected, _, _ = run(an_attempted_payment(), facts)
    actual, events, entered = run(an_attempted_payment(), data.draw(some_twice(facts)))

    assert actual == expected
    assert [type(event) for event in events if isinstance(event, ENDS)] == [type(actual.concluded())]
    assert entered == (actual.ending is charging.Ending.CAPTURED)


class Provider:
    """Stripe in a few lines: one charge, whose fate is decided once; it may leave any call without an answer."""

    def __init__(self, fate: str) -> None:
        self.fate = fate
        self.status = "new"

    def shopper_acts(self) -> None:
        if self.status == "open":
            self.status = "paid" if self.fate == "pays" else "declined"

    def carry_out(self, errand: Errand) -> Answer:
        if errand is Errand.CHARGE and self.status == "new":
            self.status = {"takes": "paid", "declines": "declined", "holds": "held"}.get(self.fate, "open")
        if errand is Errand.CAPTURE and self.status == "held":
            self.status = "paid"
        if errand is Errand.VOID and self.status in ("open", "held"):
            self.status = "closed"
        return self.tell()

    def tell(self) -> Answer:
        match self.status:
            case "paid":
                return Captured("pi_1", PRICE)
            case "declined":
                return Refused("generic_decline")
            case "held":
                return Held("pi_1", "elevated")
            case "closed":
                return Closed()
            case _:
                return Opened("cs_1", "https://pay.example")


@given(
    st.sampled_from(["takes", "declines", "holds", "pays", "leaves"]),
    some_twice(OUTSIDE).flatmap(lambda facts: st.integers(0, len(facts)).map(lambda n: facts[:n])),
    st.lists(st.sampled_from(["fact", "asks", "asks in vain", "webhook", "shopper"]), max_size=30),
)
def test_whenever_the_job_runs_the_charge_ends_once_and_as_the_provider_has_it(
    fate: str, facts: list[Fact], moments: list[str]
) -> None:
    provider, payment, ends = Provider(fate), a_payment(), 0

    def learn(fact: Fact) -> None:
        nonlocal payment, ends
        after = charging.learn(payment, fact, NOW)
        ends += sum(isinstance(event, ENDS) for event in charging.follows(payment, after))
        payment = after

    def ask(answered: bool) -> None:
        nonlocal payment
        if errand := payment.errand:
            payment = replace(payment, attempted_at=NOW, stop_asked=payment.stop_asked or errand is Errand.VOID)
            answer = provider.carry_out(errand)
            learn(answer if answered else Unknown("timeout"))

    left = [*facts]
    for moment in moments:
        if moment == "fact" and left:
            learn(left.pop(0))
        elif moment.startswith("asks"):
            ask(moment == "asks")
        elif moment == "webhook" and provider.status in ("paid", "declined", "closed"):
            learn(provider.tell())
        elif moment == "shopper":
            provider.shopper_acts()
    for fact in [*left, terms(), Reserved(), Released(SOON + timedelta(hours=1), (NOW,)), Expired()]:
        learn(fact)
    for _ in range(5):
        ask(answered=True)

    assert ends == 1
    assert payment.errand is None
    assert (payment.ending is charging.Ending.CAPTURED) == (provider.status == "paid")
    assert provider.status not in ("open", "held")
