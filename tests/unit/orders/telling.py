"""What others say of the order T-1, and what it has become by then."""

from datetime import UTC, datetime
from itertools import count

from services.orders import lifecycle, refunding
from services.orders.learning import learn
from services.orders.order import Order
from shared.events import Envelope, Event, received
from shared.events.orders import RefundRequested
from shared.events.payments import PaymentCaptured, PaymentFailed, PaymentRefunded, PaymentReviewRequired, RefundFailed
from shared.events.shipments import ShipmentCreated, ShipmentDelivered, ShipmentInTransit, TrackingPushed
from shared.events.stock import StockReserved
from shared.money import Money
from tests.builders import a_placed_order

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
TOTAL = Money(amount=29900, currency="CNY")
PARTLY = 100
SHOP = "/shops/a"
OF_CANCELLATION = refunding.refund_of_cancellation("T-1")

ids = count()


def heard(fact: Event, source: str = "/orderbus/x", at: datetime = NOW) -> Event:
    return received(fact, Envelope(str(next(ids)), source, fact.type, fact.subject, at))


def reserved() -> Event:
    return heard(StockReserved(order_id="T-1", allocations=()))


def captured() -> Event:
    return heard(PaymentCaptured(order_id="T-1", payment_id="p", channel="card", amount=TOTAL, reference="pi_1"))


def in_doubt() -> Event:
    reasons = ("the provider took 299.00 CNY (pi_1) after it was failed",)
    return heard(PaymentReviewRequired(order_id="T-1", payment_id="p", reasons=reasons, in_doubt=True))


def declined() -> Event:
    return heard(PaymentFailed(order_id="T-1", payment_id="p", reason="lapsed"))


def shipped() -> Event:
    return heard(ShipmentCreated(order_id="T-1", shipment_id="s", carrier="own_fleet", waybill="W1"))


def left() -> Event:
    return heard(ShipmentInTransit(order_id="T-1", shipment_id="s", at=NOW))


def delivered() -> Event:
    return heard(ShipmentDelivered(order_id="T-1", shipment_id="s", at=NOW))


def pushed() -> Event:
    return heard(TrackingPushed(order_id="T-1", shipment_id="s", carrier="own_fleet", tracking_number="W1", channel="app"))


def cny(amount: int) -> Money:
    """So many fen."""
    return Money(amount=amount, currency="CNY")


def given_back(amount: int = TOTAL.amount, refund_id: str = "own-1", by: str = SHOP, reference: str = "x") -> Event:
    return heard(PaymentRefunded(order_id="T-1", refund_id=refund_id, amount=cny(amount), reference=reference), source=by)


def refused(refund_id: str = OF_CANCELLATION, reason: str = "account closed") -> Event:
    return heard(RefundFailed(order_id="T-1", refund_id=refund_id, reason=reason))


def an_order(*facts: Event, **fields: object) -> Order:
    order = lifecycle.place(a_placed_order(**fields), NOW)  # type: ignore[arg-type]
    for fact in facts:
        order = learn(order, fact)
    return order


def requests(events: list[Event]) -> list[tuple[str, int]]:
    """What is to go back, by the refund's id."""
    return [(event.refund_id, event.amount.amount) for event in events if isinstance(event, RefundRequested)]


def gone_by_hand() -> Order:
    """A cancelled order whose money went by the transfer SEPA-1 of lin's, after the provider had refused to send it."""
    cancelled = learn(lifecycle.cancel(an_order(reserved(), captured()), "no", NOW), refused())
    by_hand = refunding.refund(cancelled, "hand-1", TOTAL.amount, "card closed", "lin", "SEPA-1")
    return learn(by_hand, heard(PaymentRefunded(order_id="T-1", refund_id="hand-1", amount=TOTAL, reference="SEPA-1")))
