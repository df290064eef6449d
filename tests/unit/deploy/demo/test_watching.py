"""What is heard on the bus."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

from deploy.demo.watching import Watch
from shared.events import Envelope, Event, received
from shared.events.orders import OrderHeld, OrderReleased
from shared.events.payments import PaymentCaptured, PaymentRefunded
from shared.events.shipments import ShipmentCreated, TrackingPushed
from shared.money import Money

_seconds = count()


def test_an_event_that_comes_twice_is_remembered_once() -> None:
    watch, event = Watch(), _heard(_pushed())

    watch.remember(event)
    watch.remember(event)

    assert watch.events == 1
    assert len(watch.said("T-1", "tracking.pushed")) == 1


def test_a_held_order_is_held_until_a_person_answers() -> None:
    watch = Watch()
    watch.remember(_heard(OrderHeld(order_id="T-1", reasons=("odd",))))
    assert watch.status("T-1") == "held"

    watch.remember(_heard(OrderReleased(order_id="T-1", released_by="Li")))
    watch.remember(_heard(_pushed()))

    assert watch.status("T-1") == "shipped"


def test_an_order_is_refunded_when_all_its_money_went_back() -> None:
    watch = Watch()
    captured = PaymentCaptured(order_id="T-1", payment_id="p", channel="card", amount=_cny(300), reference="r")
    watch.remember(_heard(captured))
    watch.remember(_heard(_pushed()))

    watch.remember(_heard(PaymentRefunded(order_id="T-1", refund_id="a", amount=_cny(100), reference="r")))
    assert watch.status("T-1") == "shipped"
    watch.remember(_heard(PaymentRefunded(order_id="T-1", refund_id="b", amount=_cny(200), reference="r")))

    assert watch.status("T-1") == "refunded"


async def test_who_waits_is_woken_by_whichever_comes_first() -> None:
    watch = Watch()
    waiting = asyncio.create_task(watch.hear("T-1", "order.cancelled", "tracking.pushed"))
    await asyncio.sleep(0)

    watch.remember(_heard(_pushed(order_id="T-2")))
    await asyncio.sleep(0)
    assert not waiting.done()
    watch.remember(_heard(_pushed()))

    await asyncio.wait_for(waiting, 1)


async def test_what_was_said_before_is_not_waited_for() -> None:
    watch = Watch()
    watch.remember(_heard(_pushed()))

    await asyncio.wait_for(watch.hear("T-1", "tracking.pushed"), 1)


def test_the_last_event_is_the_latest_by_its_own_time() -> None:
    watch = Watch()
    created = _heard(ShipmentCreated(order_id="T-1", shipment_id="s", carrier="dhl", waybill="12"))
    watch.remember(_heard(_pushed()))
    watch.remember(created)

    assert watch.last("T-1") == "tracking.pushed 12 by sms"
    assert watch.last("T-2") == "nothing"


def _pushed(order_id: str = "T-1") -> Event:
    return TrackingPushed(order_id=order_id, shipment_id="s", carrier="dhl", tracking_number="12", channel="sms")


def _cny(amount: int) -> Money:
    return Money(amount=amount, currency="CNY")


def _heard(event: Event) -> Event:
    at = datetime(2026, 11, 24, tzinfo=UTC) + timedelta(seconds=next(_seconds))
    return received(event, Envelope(str(uuid4()), "/orderbus/orders", event.type, event.subject, at))
