from datetime import UTC, datetime
from uuid import uuid4

import orjson

from shared import codec
from shared.codec import SINGLE
from shared.events import Envelope
from shared.events.orders import OrderCancelled, OrderPaid, OrderPlaced, OrderSubmitted
from shared.origin import EXCHANGE, Origin
from shared.subscriptions import Subscription, Subscriptions
from tests.builders import a_paid_order


async def _nothing(_: object, __: object) -> None:
    """Not called here."""


def test_an_event_that_came_where_it_does_not_belong_is_kept_not_dropped() -> None:
    subscription = Subscription(OrderPlaced, _nothing, ours=True)
    paid = a_paid_order()
    envelope = Envelope(str(uuid4()), "/shops/taobao-42", OrderPaid.type, paid.subject, datetime.now(UTC))
    origin = Origin(EXCHANGE, OrderPaid.type, f"orders.{OrderPlaced.type}")

    decoded = codec.decode(codec.encode(paid, envelope), SINGLE, {}, subscription.wants, origin)

    assert decoded.events == []
    assert [bad.reason for bad in decoded.unreadable] == ["type: order.paid stands in the queue of order.placed"]
    assert orjson.loads(decoded.unreadable[0].body)["type"] == "order.paid"


def test_an_event_of_somebody_else_is_left_alone() -> None:
    subscription = Subscription(OrderPaid, _nothing, ours=True)
    paid = a_paid_order()
    envelope = Envelope(str(uuid4()), "/shops/taobao-42", OrderPaid.type, paid.subject, datetime.now(UTC))

    decoded = codec.decode(codec.encode(paid, envelope), SINGLE, {}, subscription.wants)

    assert (decoded.events, decoded.unreadable) == ([], [])


def test_where_others_come_in_is_told_by_all_that_a_handler_hears() -> None:
    on = Subscriptions()

    @on.any_of(OrderSubmitted, OrderPaid, ours=False)
    async def taking_in(_: object, __: object) -> None:
        """Orders come in here."""

    @on.any_of(OrderPlaced, ours=True)
    @on.any_of(OrderCancelled, ours=False)
    async def learning(_: object, __: object) -> None:
        """And here others say something now and then, too."""

    assert on.hears_only_others(taking_in)
    assert not on.hears_only_others(learning)
