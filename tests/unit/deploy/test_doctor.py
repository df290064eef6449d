"""What the doctor makes of one order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from deploy.doctor.case import Ask, Case, Finding, Letter, Whose
from deploy.doctor.diagnosis import diagnose, while_stopped
from deploy.doctor.unheard import nothing_known, said_at, unheard
from services.inventory.reservation import Reservation
from services.logistics.shipping import Shipment
from services.orders import lifecycle, refunding
from services.orders.learning import learn
from services.orders.order import Order
from services.payments.charging import Ending, Payment
from services.payments.facts import Placed
from services.payments.refunds import Refund, State
from shared.events import Event
from shared.events.fields import Allocation, OrderedLine
from shared.events.orders import RefundRequested, RefundReturned
from tests.unit.orders.telling import TOTAL, an_order, captured, gone_by_hand, pushed, refused, reserved, shipped

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ONE = UUID(int=1)

STOCKED = Reservation(
    "T-1", (OrderedLine(sku="HP-1001", quantity=1),), allocations=(Allocation(sku="HP-1001", location="main", quantity=1),)
)
SOLD = replace(STOCKED, paid=True, deducted=True)
TERMS = Placed(TOTAL, "card")
CHARGED = Payment(ONE, "T-1", TERMS, reserved=True, attempted_at=NOW, reference="pi_1", ending=Ending.CAPTURED)
CHARGING = Payment(ONE, "T-1", TERMS, reserved=True, attempted_at=NOW)
UNPACKED = Shipment(ONE, "T-1", paid_at=NOW, carrier="own_fleet")
PACKED = Shipment(ONE, "T-1", paid_at=NOW, deducted_at=NOW, carrier="own_fleet", waybill="W1", told_at=NOW, told_by="sms")


def a_case(*facts: Event, silent_for: timedelta = timedelta(minutes=10), **known: Any) -> Case:
    """The order as these facts make it; of what is not said no service knows anything."""
    order: Order = known.pop("order", None) or an_order(*facts)
    reservation, payment, shipment = nothing_known(order.id)
    return replace(Case(order, NOW - silent_for, reservation, payment, shipment), **known)


def an_ask(attempts: int, **fields: Any) -> Ask:
    return replace(Ask("payments", "charge", attempts, due_at=NOW + timedelta(seconds=30), since=NOW), **fields)


def words(findings: list[Finding]) -> list[str]:
    assert all(finding.whose is Whose.DOCTOR for finding in findings), findings
    return [finding.found.split()[0] for finding in findings]


def test_an_order_on_its_way_is_left_alone() -> None:
    assert diagnose(a_case(silent_for=timedelta(seconds=10)), NOW) == []


def test_a_shipped_order_of_which_all_know_the_same_is_well() -> None:
    case = a_case(reserved(), captured(), shipped(), pushed(), reservation=SOLD, payment=CHARGED, shipment=PACKED)

    assert diagnose(case, NOW) == []


@pytest.mark.parametrize(
    ("lost", "case"),
    [
        (["order.placed"], a_case()),
        (["stock.reserved"], a_case(reservation=STOCKED, payment=replace(CHARGING, reserved=False, attempted_at=None))),
        (["payment.captured"], a_case(reserved(), reservation=STOCKED, payment=CHARGED)),
        (["order.paid"], a_case(reserved(), captured(), reservation=STOCKED, payment=CHARGED)),
        (
            ["stock.deducted"],
            a_case(reserved(), captured(), reservation=SOLD, payment=CHARGED, shipment=UNPACKED),
        ),
        (
            ["shipment.created", "tracking.pushed"],
            a_case(reserved(), captured(), reservation=SOLD, payment=CHARGED, shipment=PACKED),
        ),
    ],
)  # fmt: skip
def test_a_word_that_was_lost_is_said_again(lost: list[str], case: Case) -> None:
    assert words(diagnose(case, NOW)) == lost


def test_a_question_to_a_person_that_was_lost_is_said_again_as_of_when_it_was_asked() -> None:
    asked_at = NOW - timedelta(hours=1)
    reviewed = replace(CHARGING, placed=replace(TERMS, concerns=("large",)), attempted_at=None, review_at=asked_at)
    case = a_case(reserved(), reservation=STOCKED, payment=reviewed)

    assert words(diagnose(case, NOW)) == ["payment.review_required"]
    assert [said_at(case, event) for _, event in unheard(case)] == [asked_at]


def test_a_cancellation_and_the_refund_that_follows_are_said_again() -> None:
    cancelled = lifecycle.cancel(an_order(reserved(), captured()), "changed my mind", NOW)
    case = a_case(order=cancelled, reservation=STOCKED, payment=CHARGED)

    assert words(diagnose(case, NOW)) == ["order.cancelled", "refund.requested"]


def test_a_refused_refund_is_a_persons_who_is_told_how_to_say_that_it_went_by_hand() -> None:
    cancelled = learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), refused())
    part = refunding.refund(cancelled, "hand-1", 100, "card closed", "lin", "SEPA-1")

    (finding,) = diagnose(a_case(order=part), NOW)

    assert (finding.whose, finding.found) == (
        Whose.PERSON,
        "held: refund refused: account closed; lin gave back 100 minor units by hand: SEPA-1",
    )
    assert "give it back by hand and say so there (by_hand)" in finding.next
    assert "POST /api/orders/T-1/refunds" in finding.next


def test_that_it_went_by_hand_is_said_again_as_such() -> None:
    cancelled = learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), refused())
    by_hand = refunding.refund(cancelled, "hand-1", TOTAL.amount, "card closed", "lin", "SEPA-1")

    assert [event.by_hand for _, event in unheard(a_case(order=by_hand)) if isinstance(event, RefundRequested)] == ["SEPA-1"]


def test_that_the_bank_returned_it_is_said_again_until_the_books_have_taken_it_back() -> None:
    returned = refunding.take_back(gone_by_hand(), "hand-1", "no such account", "lin")
    gone = Refund("hand-1", "T-1", TOTAL, reason="card closed", state=State.REFUNDED, reference="SEPA-1")
    taken_back = replace(gone, state=State.FAILED, reference=None)

    for entered, missed in ((gone, ["SEPA-1"]), (taken_back, [])):
        said = [event for _, event in unheard(a_case(order=returned, refunds=(entered,)))]
        assert [event.reference for event in said if isinstance(event, RefundReturned)] == missed


def test_a_partner_that_does_not_answer_is_asked_again_by_the_service() -> None:
    case = a_case(reserved(), reservation=STOCKED, payment=CHARGING, asks=(an_ask(7, since=NOW - timedelta(minutes=9)),))

    (finding,) = diagnose(case, NOW)

    assert finding.whose is Whose.SERVICE
    assert finding.found == "payments: charge has no answer, asked 7 times"


def test_a_partner_that_does_not_answer_for_hours_is_a_persons() -> None:
    case = a_case(reserved(), reservation=STOCKED, payment=CHARGING, asks=(an_ask(99, since=NOW - timedelta(hours=2)),))

    assert [finding.whose for finding in diagnose(case, NOW)] == [Whose.PERSON]


def test_what_nobody_claims_though_it_is_due_is_a_persons() -> None:
    case = a_case(reserved(), reservation=STOCKED, payment=CHARGING, asks=(an_ask(0, due_at=NOW - timedelta(minutes=5)),))

    assert [finding.whose for finding in diagnose(case, NOW)] == [Whose.PERSON]


def test_a_shopper_who_has_not_paid_yet_is_waited_for() -> None:
    waiting = replace(CHARGING, provider_id="cs_1", url="https://pay")
    order = an_order(reserved()).but(payment_url="https://pay")
    case = a_case(order=order, reservation=STOCKED, payment=waiting, asks=(an_ask(5, since=NOW - timedelta(minutes=9)),))

    assert diagnose(case, NOW) == []


def test_a_word_that_could_not_be_handled_is_not_said_again() -> None:
    letter = Letter("inventory", "01a2", "order.placed", "KeyError", is_dead=True)

    (finding,) = diagnose(a_case(letters=(letter,)), NOW)

    assert finding.whose is Whose.PERSON
    assert finding.next == "./orderbus dead-letters show 01a2"


def test_an_order_that_nothing_explains_is_a_persons() -> None:
    stuck = a_case(reserved(), reservation=STOCKED, payment=CHARGING)

    assert [finding.whose for finding in diagnose(stuck, NOW)] == [Whose.PERSON]


def test_while_the_broker_is_away_that_is_said_first_and_nothing_is_to_be_said_again() -> None:
    lost = diagnose(a_case(), NOW)
    assert Whose.DOCTOR in {finding.whose for finding in lost}

    away, *rest = while_stopped(lost, ["rabbitmq is stopped", "orders is not ready"], NOW)

    assert (away.order_id, away.whose, away.found) == (None, Whose.PERSON, "rabbitmq is stopped, orders is not ready")
    assert [finding.found for finding in rest] == [finding.found for finding in lost]
    assert {finding.whose for finding in rest} == {Whose.SERVICE}
    assert not any("--heal" in finding.next for finding in rest)


def test_a_stack_that_does_not_run_whole_is_the_doctors_business_only_where_something_waits() -> None:
    assert while_stopped([], ["redis is stopped"], NOW) == []
    assert while_stopped(lost := diagnose(a_case(), NOW), [], NOW) == lost
