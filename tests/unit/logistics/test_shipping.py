"""What a shipment's facts add up to, and what follows."""

import pytest

from services.logistics import shipping
from services.logistics.shipping import Booked, Collected, Kind, NotBooked, Refused, State, Told, Unknown, Withdrawn
from services.logistics.tracking import scanned
from shared.events.fields import Line
from shared.events.shipments import (
    ShipmentCancelled,
    ShipmentCreated,
    ShipmentDelivered,
    ShipmentFailed,
    ShipmentInTransit,
    TrackingPushed,
)
from tests.builders import a_customer, a_paid_order, an_address
from tests.unit.logistics.parcels import NOON, a_booked_shipment, a_paid_shipment, a_scan, an_unknown_shipment, at

ORDER = {"order_id": "T-1", "shipment_id": "00000000-0000-0000-0000-000000000001"}


def test_a_paid_order_is_booked_with_its_carrier() -> None:
    before = shipping.deduct(an_unknown_shipment(), NOON)

    after = shipping.pay(before, a_paid_order(quantity=2), "dhl", NOON)

    assert before.state is State.AWAITED
    assert after.state is State.BOOKING
    assert (after.contents, after.value, after.currency) == ("2 x HP-1001", 59800, "CNY")
    assert shipping.newly_owed(before, after) == [Kind.BOOK]
    assert shipping.follows(before, after) == []


def test_an_order_paid_twice_is_one_parcel() -> None:
    paid = a_paid_shipment("dhl")

    assert shipping.pay(paid, a_paid_order(), "own_fleet", at(1)) is paid


def test_a_parcel_that_nobody_carries_fails_at_once_and_says_where_to() -> None:
    before = an_unknown_shipment()

    after = shipping.pay(before, a_paid_order(ship_to=an_address(country="AQ", postcode="")), None, NOON)

    assert shipping.follows(before, after) == [ShipmentFailed(**ORDER, reason="no carrier goes to AQ")]
    assert shipping.newly_owed(before, after) == []


def test_contents_that_do_not_fit_on_a_label_are_cut() -> None:
    order = a_paid_order()
    order = order.model_copy(update={"lines": order.lines * 9})

    after = shipping.pay(an_unknown_shipment(), order, "dhl", NOON)

    assert after.contents is not None
    assert len(after.contents) == shipping.LONGEST_CONTENTS
    assert after.contents.endswith("...")


def test_contents_that_just_fit_on_a_label_are_all_on_it() -> None:
    lines = tuple(Line(sku=letter * 30, quantity=1, unit_price=1) for letter in "AB")

    fitting = f"1 x {'A' * 30}, 1 x {'B' * 30}"
    assert len(fitting) == shipping.LONGEST_CONTENTS
    assert a_paid_shipment(lines=lines).contents == fitting


def test_the_shopper_is_told_at_the_parcels_phone_or_else_at_the_customers() -> None:
    receiver, customer = "+8613900000000", "+8613800000000"

    assert a_paid_shipment(ship_to=an_address(phone=receiver)).phone == receiver
    assert a_paid_shipment(customer=a_customer(phone=customer)).phone == customer


def test_a_waybill_makes_the_shipment_and_the_shopper_is_to_be_told() -> None:
    before = a_paid_shipment("dhl")

    after = shipping.learn(before, Booked("1234567890", "https://dhl/1234567890"), at(1))

    assert after.state is State.BOOKED
    assert not after.owes(Kind.BOOK)
    assert shipping.newly_owed(before, after) == [Kind.NOTIFY]
    assert shipping.follows(before, after) == [
        ShipmentCreated(**ORDER, carrier="dhl", waybill="1234567890", tracking_url="https://dhl/1234567890")
    ]


def test_a_second_waybill_does_not_replace_the_first() -> None:
    booked = a_booked_shipment("1234567890")

    assert shipping.learn(booked, Booked("9999999999"), at(1)) is booked


def test_what_a_carrier_has_taken_is_not_undone_by_an_answer_to_an_earlier_question() -> None:
    booked = a_booked_shipment()
    cancelled = shipping.cancel(booked, at(1), may_be_booked=False)
    withdrawn = shipping.learn(cancelled, Withdrawn(), at(2))
    left = scanned(cancelled, [a_scan("transit", 2)])

    for shipment, answer in (
        (booked, Refused("DHL: no such place")),
        (booked, NotBooked()),
        (booked, Withdrawn()),
        (cancelled, NotBooked()),
        (withdrawn, NotBooked()),
        (left, Withdrawn()),
    ):
        assert shipping.learn(shipment, answer, at(3)) is shipment


def test_that_a_carrier_knows_nothing_of_a_parcel_calls_off_none_that_is_wanted() -> None:
    paid = a_paid_shipment()

    assert shipping.learn(paid, NotBooked(), at(1)) is paid


def test_a_parcel_that_was_refused_and_is_found_booked_is_booked() -> None:
    refused = shipping.learn(a_paid_shipment("dhl"), Refused("DHL: no such place"), at(1))

    assert shipping.learn(refused, Booked("1234567890"), at(2)).state is State.BOOKED


@pytest.mark.parametrize(
    ("words", "kept"), [("DHL:\0 no such\nplace", "DHL: no such place"), (" \0", "no reason given")], ids=["words", "none"]
)
def test_a_carriers_reason_is_kept_in_a_line_and_there_is_always_one(words: str, kept: str) -> None:
    before = a_paid_shipment("dhl")

    refused = shipping.learn(before, Refused(words), at(1))

    assert refused.refused == kept
    assert shipping.follows(before, refused) == [ShipmentFailed(**ORDER, reason=kept)]


def test_a_told_shopper_is_announced_with_the_way_it_was_done() -> None:
    before = a_booked_shipment()

    after = shipping.learn(before, Told("sms"), at(1))

    assert shipping.follows(before, after) == [
        TrackingPushed(**ORDER, carrier="dhl", tracking_number="1234567890", channel="sms")
    ]
    assert not after.owes(Kind.NOTIFY)
    assert shipping.learn(after, Told("app"), at(2)) is after


def test_an_unknown_outcome_changes_nothing() -> None:
    paid = a_paid_shipment()

    assert shipping.learn(paid, Unknown(), at(1)) is paid


def test_a_refused_parcel_fails_with_the_carriers_words_and_a_release_offers_it_again() -> None:
    before = a_paid_shipment("dhl")
    refused = shipping.learn(before, Refused("DHL: no such place"), at(1))
    assert shipping.follows(before, refused) == [ShipmentFailed(**ORDER, reason="DHL: no such place")]

    released = shipping.release(refused, "own_fleet", at(2))

    assert (released.state, released.carrier) == (State.BOOKING, "own_fleet")
    assert shipping.newly_owed(refused, released) == [Kind.BOOK]
    assert shipping.follows(refused, released) == []


def test_a_parcel_that_still_nobody_carries_after_a_release_fails_again() -> None:
    failed = a_paid_shipment(None)

    released = shipping.release(failed, None, at(1))

    assert [event.type for event in shipping.follows(failed, released)] == ["shipment.failed"]


def test_a_release_changes_nothing_for_what_has_not_failed() -> None:
    for shipment in (an_unknown_shipment(), a_paid_shipment(), a_booked_shipment()):
        assert shipping.release(shipment, "dhl", at(1)) is shipment


def test_a_delivery_that_failed_is_left_to_its_carrier_after_a_release_and_may_fail_again() -> None:
    failed = scanned(a_booked_shipment(), [a_scan("failure", 10, "recipient not home")])

    released = shipping.release(failed, "own_fleet", at(20))
    again = scanned(released, [a_scan("failure", 30, "recipient not home")])

    assert (released.state, released.waybill, released.carrier) == (State.IN_TRANSIT, "1234567890", "dhl")
    assert scanned(released, [a_scan("failure", 10, "recipient not home")]).state is State.IN_TRANSIT
    assert shipping.follows(released, again) == [ShipmentFailed(**ORDER, reason="recipient not home")]


def test_a_failure_that_was_known_at_the_release_is_past_even_if_the_carriers_clock_is_ahead() -> None:
    failed = scanned(a_booked_shipment(), [a_scan("failure", 25)])

    released = shipping.release(failed, "dhl", at(20))

    assert released.state is State.IN_TRANSIT
    assert shipping.follows(failed, released) == []


def test_a_delivery_that_fails_after_a_release_is_said_even_if_the_carriers_clock_is_behind() -> None:
    failed = scanned(a_booked_shipment(), [a_scan("failure", 10, "recipient not home")])
    released = shipping.release(failed, "dhl", at(60))

    again = scanned(released, [a_scan("failure", 15, "recipient not home")])

    assert again.state is State.FAILED
    assert shipping.follows(released, again) == [ShipmentFailed(**ORDER, reason="recipient not home")]


def test_a_parcel_that_was_refused_and_released_may_still_fail_on_its_way_by_a_carriers_clock_that_is_behind() -> None:
    refused = shipping.learn(a_paid_shipment("dhl"), Refused("DHL: no such place"), at(1))
    booked = shipping.learn(shipping.release(refused, "dhl", at(60)), Booked("1234567890"), at(61))

    assert scanned(booked, [a_scan("failure", 5)]).state is State.FAILED


def test_what_is_paid_is_shipped_only_once_its_pieces_have_left_the_books() -> None:
    paid = shipping.pay(an_unknown_shipment(), a_paid_order(), "dhl", NOON)

    packed = shipping.deduct(paid, at(1))

    assert (paid.state, paid.needs_waybill) == (State.AWAITED, False)
    assert (packed.state, shipping.newly_owed(paid, packed)) == (State.BOOKING, [Kind.BOOK])
    assert shipping.deduct(packed, at(2)) is packed


def test_cancelled_before_paid_ships_nothing_and_says_nothing() -> None:
    before = an_unknown_shipment()
    cancelled = shipping.cancel(before, NOON, may_be_booked=False)

    after = shipping.pay(cancelled, a_paid_order(), "dhl", at(1))

    assert after is cancelled
    assert after.state is State.CANCELLED
    assert shipping.follows(before, after) == []
    assert shipping.newly_owed(before, after) == []


def test_pieces_that_were_taken_off_the_books_for_a_cancelled_order_are_said_to_stay() -> None:
    cancelled = shipping.cancel(an_unknown_shipment(), NOON, may_be_booked=False)

    after = shipping.deduct(cancelled, at(1))

    assert shipping.follows(cancelled, after) == [ShipmentCancelled(**ORDER)]
    assert shipping.follows(after, shipping.pay(after, a_paid_order(), "dhl", at(2))) == []


def test_what_could_not_be_handed_over_was_on_its_way_even_if_that_was_never_scanned() -> None:
    booked = shipping.cancel(a_booked_shipment(), NOON, may_be_booked=False)

    after = scanned(booked, [a_scan("failure", 9, "nobody at home")])

    assert shipping.follows(booked, after) == [
        ShipmentInTransit(**ORDER, at=at(9)),
        ShipmentFailed(**ORDER, reason="nobody at home"),
    ]


def test_cancelled_before_anybody_was_asked_is_called_off_at_once() -> None:
    before = a_paid_shipment("dhl")

    after = shipping.cancel(before, at(1), may_be_booked=False)

    assert shipping.follows(before, after) == [ShipmentCancelled(**ORDER)]
    assert shipping.newly_owed(before, after) == []


def test_a_paid_order_that_is_cancelled_before_its_pieces_left_the_books_is_called_off_once() -> None:
    paid = shipping.pay(an_unknown_shipment(), a_paid_order(), "dhl", NOON)

    cancelled = shipping.cancel(paid, at(1), may_be_booked=False)

    assert shipping.follows(paid, cancelled) == [ShipmentCancelled(**ORDER)]
    assert shipping.follows(cancelled, shipping.deduct(cancelled, at(2))) == []


def test_cancelled_while_the_carrier_is_asked_waits_for_its_answer_that_there_is_nothing() -> None:
    before = a_paid_shipment("dhl")
    cancelled = shipping.cancel(before, at(1), may_be_booked=True)
    assert (cancelled.state, shipping.follows(before, cancelled)) == (State.CANCELLED, [])

    for nothing in (NotBooked(), Refused("DHL: no such place")):
        after = shipping.learn(cancelled, nothing, at(2))
        assert after.state is State.CANCELLED
        assert shipping.follows(cancelled, after) == [ShipmentCancelled(**ORDER)]


def test_a_waybill_found_after_the_cancellation_is_withdrawn_and_nobody_is_told_of_it() -> None:
    cancelled = shipping.cancel(a_paid_shipment("dhl"), at(1), may_be_booked=True)

    booked = shipping.learn(cancelled, Booked("1234567890"), at(2))
    withdrawn = shipping.learn(booked, Withdrawn(), at(3))

    assert shipping.newly_owed(cancelled, booked) == [Kind.WITHDRAW]
    assert shipping.follows(cancelled, booked) == []
    assert shipping.follows(booked, withdrawn) == [ShipmentCancelled(**ORDER)]


def test_a_booked_parcel_is_cancelled_only_once_its_waybill_is_withdrawn() -> None:
    before = a_booked_shipment()
    cancelled = shipping.cancel(before, at(1), may_be_booked=False)
    assert cancelled.state is State.CANCELLED
    assert shipping.newly_owed(before, cancelled) == [Kind.WITHDRAW]
    assert shipping.follows(before, cancelled) == []

    withdrawn = shipping.learn(cancelled, Withdrawn(), at(2))

    assert shipping.follows(cancelled, withdrawn) == [ShipmentCancelled(**ORDER)]


def test_a_parcel_that_was_collected_before_the_withdrawal_is_on_its_way() -> None:
    cancelled = shipping.cancel(a_booked_shipment(), at(5), may_be_booked=False)

    after = shipping.learn(cancelled, Collected(at(4)), at(6))

    assert after.state is State.IN_TRANSIT
    assert not after.owes_withdrawal
    assert shipping.follows(cancelled, after) == [ShipmentInTransit(**ORDER, at=at(4))]


def test_what_the_carrier_says_of_the_collection_does_not_make_an_earlier_scan_later() -> None:
    cancelled = shipping.cancel(a_booked_shipment(), at(5), may_be_booked=False)
    moving = scanned(cancelled, [a_scan("transit", 3)])

    after = shipping.learn(moving, Collected(at(4)), at(6))

    assert after.in_transit_at == at(3)
    assert shipping.follows(moving, after) == []


@pytest.mark.parametrize(
    ("scan", "state"), [("transit", State.IN_TRANSIT), ("delivered", State.DELIVERED), ("failure", State.FAILED)]
)
def test_what_has_left_is_not_withdrawn(scan: str, state: State) -> None:
    moving = scanned(a_booked_shipment(), [a_scan(scan, 1)])

    after = shipping.cancel(moving, at(2), may_be_booked=False)

    assert after.state is state
    assert shipping.newly_owed(moving, after) == []
    assert shipping.follows(moving, after) == []


def test_a_parcel_on_its_way_is_announced_and_so_is_its_delivery() -> None:
    booked = a_booked_shipment()

    moving = scanned(booked, [a_scan("transit", 1)])
    delivered = scanned(moving, [a_scan("delivered", 9)])

    assert shipping.follows(booked, moving) == [ShipmentInTransit(**ORDER, at=at(1))]
    assert shipping.newly_owed(booked, moving) == []
    assert shipping.follows(moving, delivered) == [ShipmentDelivered(**ORDER, at=at(9))]


def test_a_delivery_that_is_heard_of_after_a_later_failure_is_not_said() -> None:
    failed = scanned(a_booked_shipment(), [a_scan("failure", 20, "sent back")])

    after = scanned(failed, [a_scan("delivered", 10)])

    assert (after.state, shipping.follows(failed, after)) == (State.FAILED, [])
