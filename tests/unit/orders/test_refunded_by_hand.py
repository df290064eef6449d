"""Money that a person gave back by a transfer."""

import pytest

from services.orders import lifecycle, refunding
from services.orders.learning import learn
from services.orders.order import Order, Status
from shared.events.orders import RefundRequested, RefundReturned
from shared.events.payments import PaymentRefunded
from shared.problems import Conflict, NotFound
from tests.unit.orders.telling import (
    NOW,
    PARTLY,
    SHOP,
    TOTAL,
    an_order,
    captured,
    cny,
    gone_by_hand,
    heard,
    refused,
    requests,
    reserved,
    shipped,
)


def given_by_hand(order: Order, amount: int = TOTAL.amount, reference: str = "SEPA-1", id: str = "hand-1") -> Order:
    return refunding.refund(order, refunding.refund_by(order, reference) or id, amount, "card closed", "lin", reference)


def test_what_a_person_gave_back_by_hand_is_told_with_its_transfer_and_ends_the_hold_once_payments_has_it() -> None:
    before = learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), refused())

    after = given_by_hand(before)
    sent = PaymentRefunded(order_id="T-1", refund_id="hand-1", amount=TOTAL, reference="SEPA-1")
    gone = learn(after, heard(sent))

    (said,) = lifecycle.follows(before, after)
    assert isinstance(said, RefundRequested)
    assert (said.by_hand, said.asked_by, said.amount) == ("SEPA-1", "lin", TOTAL)
    assert said.note() == "299.00 CNY: card closed; given back by hand by lin: SEPA-1"
    assert (after.status, after.refunded) == (Status.HELD, 0)
    assert (gone.status, gone.refunded, gone.refunds["hand-1"].by_hand) == (Status.CANCELLED, TOTAL.amount, "SEPA-1")
    assert given_by_hand(gone) == gone


def test_the_same_transfer_said_twice_is_one_and_of_another_sum_a_mistake() -> None:
    asked = refunding.refund(an_order(reserved(), captured(), shipped()), "R-1", PARTLY, "scratched")
    sent = heard(PaymentRefunded(order_id="T-1", refund_id="R-1", amount=cny(PARTLY), reference="re_1"))
    by_hand = given_by_hand(learn(asked, sent), PARTLY)

    for reference, known in (("SEPA-1", "hand-1"), ("re_1", "R-1")):
        assert refunding.refund_by(by_hand, reference) == known
        assert given_by_hand(by_hand, PARTLY, reference, "hand-2") == by_hand
        with pytest.raises(Conflict, match="in the books already, as 100"):
            given_by_hand(by_hand, PARTLY + 1, reference, "hand-2")


def test_a_transfer_that_payments_did_not_acknowledge_may_be_said_again() -> None:
    before = learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), refused())
    refused_too = learn(given_by_hand(before), refused("hand-1", "more than is left"))

    assert requests(lifecycle.follows(refused_too, given_by_hand(refused_too, id="hand-2"))) == [("hand-2", TOTAL.amount)]


def test_while_a_refund_is_under_way_none_is_given_back_by_hand() -> None:
    asked = refunding.refund(an_order(reserved(), captured(), shipped()), "R-1", PARTLY, "scratched")
    cancelled = lifecycle.cancel(an_order(reserved(), captured()), "no", NOW)

    for order in (asked, cancelled, given_by_hand(learn(asked, refused("R-1")), PARTLY, "SEPA-0", "hand-0")):
        with pytest.raises(Conflict, match="under way"):
            given_by_hand(order, PARTLY)


def test_never_more_than_is_left_is_given_back_by_hand_nor_what_a_shop_took() -> None:
    part = learn(refunding.refund(an_order(reserved(), captured(), shipped()), "R-1", None, "scratched"), refused("R-1"))

    with pytest.raises(Conflict, match="29900 minor units"):
        given_by_hand(part, TOTAL.amount + 1)
    with pytest.raises(Conflict, match="/shops/a took the money"):
        given_by_hand(an_order(reserved(), shipped(), collected_by=SHOP), PARTLY)
    with pytest.raises(Conflict, match="nothing is paid yet"):
        given_by_hand(an_order(reserved()), PARTLY)


def test_a_transfer_that_the_bank_returned_is_said_once_and_owed_anew_once_payments_has_taken_it_back() -> None:
    before = gone_by_hand()

    after = refunding.take_back(before, "hand-1", "no such account", "lin")
    came_back = learn(after, refused("hand-1", "it was sent as SEPA-1 and came back: no such account"))

    (said,) = lifecycle.follows(before, after)
    assert isinstance(said, RefundReturned)
    assert (said.refund_id, said.reference, said.said_by) == ("hand-1", "SEPA-1", "lin")
    assert said.note() == "SEPA-1: no such account; said by lin"
    assert lifecycle.follows(after, refunding.take_back(after, "hand-1", "no such account", "wei")) == []
    assert (came_back.status, came_back.refunded) == (Status.HELD, 0)
    assert lifecycle.follows(came_back, refunding.take_back(came_back, "hand-1", "no such account", "lin")) == []
    assert requests(lifecycle.follows(came_back, given_by_hand(came_back, reference="SEPA-2", id="hand-2"))) == [
        ("hand-2", TOTAL.amount)
    ]


def test_only_what_went_by_hand_is_said_to_have_been_returned() -> None:
    asked = refunding.refund(an_order(reserved(), captured(), shipped()), "R-1", None, "scratched")
    sent = learn(asked, heard(PaymentRefunded(order_id="T-1", refund_id="R-1", amount=TOTAL, reference="re_1")))
    under_way = given_by_hand(learn(asked, refused("R-1")), PARTLY)
    refused_too = learn(under_way, refused("hand-1", "more than is left"))

    for order, refund_id, why in (
        (sent, "R-1", "was not given back by hand"),
        (under_way, "hand-1", "is under way"),
        (refused_too, "hand-1", "counts as not gone already: more than is left"),
    ):
        with pytest.raises(Conflict, match=why):
            refunding.take_back(order, refund_id, "no such account", "lin")
    with pytest.raises(NotFound, match="has no refund hand-9"):
        refunding.take_back(sent, "hand-9", "no such account", "lin")
