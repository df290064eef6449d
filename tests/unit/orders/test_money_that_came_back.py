"""Money that was sent back to the shopper and was returned, or refused: it is held until it has gone."""

from datetime import timedelta

import pytest

from services.orders import lifecycle, refunding
from services.orders.facts import Hold
from services.orders.learning import learn
from services.orders.order import Status
from shared.events import Event
from shared.events.payments import PaymentRefunded
from shared.problems import Conflict
from tests.unit.orders.telling import (
    NOW,
    OF_CANCELLATION,
    PARTLY,
    SHOP,
    TOTAL,
    an_order,
    captured,
    delivered,
    given_back,
    heard,
    refused,
    requests,
    reserved,
    shipped,
)

SENT = heard(PaymentRefunded(order_id="T-1", refund_id=OF_CANCELLATION, amount=TOTAL, reference="re_1"))
CAME_BACK = refused(reason="it was sent as re_1 and came back: expired_or_canceled_card")


@pytest.mark.parametrize("said", [(SENT, CAME_BACK), (CAME_BACK, SENT)])
def test_money_that_went_and_came_back_has_not_gone_back_whichever_is_heard_first(said: tuple[Event, ...]) -> None:
    before = order = lifecycle.cancel(an_order(reserved(), captured()), "no", NOW)
    for fact in said:
        order = learn(order, fact)

    assert (order.refunded, order.status) == (0, Status.HELD)
    assert order.waits_for == ("refund refused: it was sent as re_1 and came back: expired_or_canceled_card",)
    assert requests(lifecycle.follows(before, order)) == []
    asked = refunding.refund(order, "again-1", None, "refund_requested")
    assert requests(lifecycle.follows(order, asked)) == [("again-1", 29900)]


def test_a_parcel_that_has_arrived_does_not_hide_that_money_has_not_gone_back() -> None:
    before = an_order(reserved(), captured(), shipped(), delivered())
    asked = refunding.refund(before, "R-1", PARTLY, "scratched")

    back = learn(asked, refused("R-1", "it was sent as re_1 and came back: lost_or_stolen_card"))
    completed = lifecycle.complete(back, NOW)
    seen_to = lifecycle.release(completed, "a", NOW)

    assert (asked.status, back.status, completed.status) == (Status.DELIVERED, Status.HELD, Status.HELD)
    assert (seen_to.status, lifecycle.completes_at(back, timedelta(days=7))) == (Status.COMPLETED, NOW + timedelta(days=7))


def test_nobody_need_see_to_money_that_has_gone_back_after_all() -> None:
    order = refunding.refund(an_order(reserved(), captured(), shipped(), delivered()), "R-1", None, "scratched")
    again = refunding.refund(learn(order, refused("R-1")), "R-2", None, "scratched")

    sent = heard(PaymentRefunded(order_id="T-1", refund_id="R-2", amount=TOTAL, reference="re_2"))
    assert (again.status, learn(again, sent).status) == (Status.HELD, Status.REFUNDED)


def test_a_hold_from_before_says_nothing_of_refunds() -> None:
    assert not Hold.model_validate({"reason": "refund refused: no", "at": NOW}).of_refund


def test_a_release_does_not_stand_for_money_that_has_not_gone_back() -> None:
    with pytest.raises(Conflict, match="ask for it again"):
        lifecycle.release(learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), refused()), "a", NOW)


def test_what_a_shop_says_it_gave_back_is_not_asked_for_again_even_if_payments_will_not_acknowledge_it() -> None:
    cancelled = lifecycle.cancel(an_order(reserved(), collected_by=SHOP), "no", NOW)

    disputed = learn(learn(cancelled, refused()), given_back(refund_id=OF_CANCELLATION))

    with pytest.raises(Conflict, match="refunded already"):
        refunding.refund(disputed, "again-1", None, "refund_requested")
