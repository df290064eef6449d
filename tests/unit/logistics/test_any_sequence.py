"""Facts and scans come twice, late and in any sequence; the end is the same, and each thing is said once."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.logistics import shipping
from services.logistics.shipping import Booked, Shipment, State, Told, Withdrawn
from services.logistics.tracking import Status, scanned
from shared.events import Event
from tests.builders import a_paid_order
from tests.unit.logistics.parcels import a_scan, an_unknown_shipment, at


def run(facts: list[str]) -> tuple[Shipment, list[Event]]:
    """A parcel's life as the service leads it: partners answer at once, scans of an unknown waybill wait for it."""
    shipment, said, waiting = an_unknown_shipment(), list[Event](), list[str]()
    for fact in facts:
        after = shipment
        match fact:
            case "paid":
                after = shipping.pay(shipment, a_paid_order(), "dhl", at(0))
            case "deducted":
                after = shipping.deduct(shipment, at(0))
            case "cancelled":
                after = shipping.cancel(shipment, at(1), may_be_booked=False)
            case "released":
                after = shipping.release(shipment, "dhl", at(2))
            case _:
                waiting.append(fact)
        steps = [shipment, after]
        if after.needs_waybill:
            steps.append(shipping.learn(steps[-1], Booked("1234567890"), at(0)))
        if steps[-1].waybill:
            scans = [a_scan(status, float(minutes)) for status, minutes in map(str.split, waiting)]
            steps.append(scanned(steps[-1], scans))
        if steps[-1].needs_telling:
            steps.append(shipping.learn(steps[-1], Told("app"), at(0)))
        if steps[-1].owes_withdrawal:
            steps.append(shipping.learn(steps[-1], Withdrawn(), at(1)))
        for before, then in pairwise(steps):
            said += shipping.follows(before, then)
        shipment = steps[-1]
    return shipment, said


def any_sequence_of(*facts: str) -> st.SearchStrategy[list[str]]:
    """Every fact at least once, some of them several times, in any sequence."""
    return st.lists(st.sampled_from(facts), max_size=4).flatmap(lambda more: st.permutations([*facts, *more]))


def types(said: list[Event]) -> list[str]:
    return sorted(event.type for event in said)


@given(any_sequence_of("paid", "deducted", "cancelled"))
def test_a_cancelled_order_ends_cancelled_whatever_came_first(facts: list[str]) -> None:
    shipment, said = run(facts)

    assert shipment.state is State.CANCELLED
    assert not shipment.owes_withdrawal
    assert types(said) in (
        [],
        ["shipment.cancelled"],
        ["shipment.cancelled", "shipment.created", "tracking.pushed"],
    )


@given(any_sequence_of("paid", "deducted", "transit 10", "transit 20", "delivered 30"))
def test_scans_in_any_sequence_end_delivered_and_each_thing_is_said_once(facts: list[str]) -> None:
    shipment, said = run(facts)

    assert (shipment.state, shipment.in_transit_at, shipment.delivered_at) == (State.DELIVERED, at(10), at(30))
    assert types(said) == ["shipment.created", "shipment.delivered", "shipment.in_transit", "tracking.pushed"]


@given(any_sequence_of("paid", "deducted", "transit 10", "failure 20", "delivered 30", "failure 15"))
def test_a_later_delivery_mends_a_failure_whichever_is_heard_first(facts: list[str]) -> None:
    shipment, said = run(facts)

    assert shipment.state is State.DELIVERED
    assert types(said).count("shipment.delivered") == 1
    assert types(said).count("shipment.created") == 1
    assert types(said).count("shipment.failed") <= 1


@given(any_sequence_of("paid", "deducted", "delivered 20", "failure 30"))
def test_a_failure_after_a_delivery_stands_whichever_is_heard_first(facts: list[str]) -> None:
    shipment, said = run(facts)

    assert shipment.state is State.FAILED
    assert types(said).count("shipment.failed") == 1


@given(any_sequence_of("transit 10", "cancelled", "delivered 30"))
def test_a_parcel_that_moves_is_not_cancelled_whichever_is_heard_first(facts: list[str]) -> None:
    shipment, said = run(["paid", "deducted", *facts])

    assert shipment.state is State.DELIVERED
    assert types(said).count("shipment.delivered") == 1


@given(
    st.lists(
        st.sampled_from(["paid", "deducted", "cancelled", "released", *(f"{s.value} {m}" for s in Status for m in (10, 20))])
    )
)
def test_no_sequence_of_facts_makes_two_shipments_or_says_a_state_that_is_none(facts: list[str]) -> None:
    shipment, said = run(facts)

    assert types(said).count("shipment.created") <= 1
    assert types(said).count("tracking.pushed") <= 1
    assert types(said).count("shipment.cancelled") <= 1
    assert (shipment.waybill is not None) == ("shipment.created" in types(said))
