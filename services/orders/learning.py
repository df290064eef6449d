"""How an order learns from what other services say. Learning the same twice changes nothing."""

from functools import singledispatch

from services.orders.facts import GIVEN_BACK_UNASKED, Claim, Hold, Parcel
from services.orders.order import Order
from services.orders.refunding import settle
from shared.events import Event
from shared.events.fields import MAX_LINES, PaymentReceipt
from shared.events.payments import (
    PaymentActionRequired,
    PaymentCaptured,
    PaymentFailed,
    PaymentRefunded,
    PaymentReviewRequired,
    PaymentVoided,
    RefundFailed,
)
from shared.events.shipments import ShipmentCreated, ShipmentDelivered, ShipmentFailed, ShipmentInTransit, TrackingPushed
from shared.events.stock import StockRejected, StockReserved

MOST_CLAIMS = MAX_LINES
"""Refunds of one order that one shop may tell of: of each line, and no more. Thousands make each further fact of the order dear
to learn, and it may be one that another shop has yet to place."""


class NotTheirsToSay(ValueError):
    """Another system spoke of money that it had not taken, or of more refunds than an order can have."""


def learn(order: Order, fact: Event) -> Order:
    """The order with the fact added. Raises NotTheirsToSay for a refund from the wrong source, or too many."""
    return settle(_add(fact, order))


@singledispatch
def _add(fact: Event, order: Order) -> Order:
    raise TypeError(f"orders learns nothing from {fact.type}")


def _held(order: Order, fact: Event, reason: str, **about: bool) -> Order:
    return order.with_hold(Hold(reason=reason, at=fact.envelope.time, **about))


@_add.register
def _(fact: StockReserved, order: Order) -> Order:
    return order.but(reserved=True)


@_add.register
def _(fact: StockRejected, order: Order) -> Order:
    if fact.paid:  # money was taken: a person decides between waiting for stock and giving it back
        return _held(order, fact, fact.note())
    return order.but(stock_rejected=fact.reason)


@_add.register
def _(fact: PaymentActionRequired, order: Order) -> Order:
    return order.but(payment_url=str(fact.url))


@_add.register
def _(fact: PaymentReviewRequired, order: Order) -> Order:
    return _held(order, fact, "; ".join(fact.reasons), in_doubt=fact.in_doubt)


@_add.register
def _(fact: PaymentCaptured, order: Order) -> Order:
    # nobody is charged for what is not set aside, so the charge says that it is
    receipt = PaymentReceipt(channel=fact.channel, reference=fact.reference)
    return order.but(captured=fact.amount.amount, receipt=receipt, reserved=True)


@_add.register
def _(fact: PaymentFailed, order: Order) -> Order:
    return order.but(payment_failed=fact.reason)


@_add.register
def _(fact: PaymentVoided, order: Order) -> Order:
    return order.but(payment_voided=fact.reason)


@_add.register
def _(fact: PaymentRefunded, order: Order) -> Order:
    if not fact.envelope.is_ours:
        return _claimed(order, fact)
    asked = order.refunds.get(fact.refund_id, GIVEN_BACK_UNASKED)
    reference = None if asked.failure else fact.reference  # it had gone, and came back: the end is heard first
    sent = asked.model_copy(update={"reference": reference, "amount": asked.amount or fact.amount.amount})
    return order.but(refunds={**order.refunds, fact.refund_id: sent})


def _claimed(order: Order, fact: PaymentRefunded) -> Order:
    """Of an order that is not known yet anybody may say it: who took the money is judged when it is placed."""
    source, collected_by = fact.envelope.source, order.placed.collected_by if order.placed else None
    if order.placed and source != collected_by:
        raise NotTheirsToSay(f"{source} cannot refund an order whose money went to {collected_by or 'us'}")
    told = [(claim.refund_id, claim.amount) for claim in order.claims if claim.source == source]
    if (fact.refund_id, fact.amount) in told:
        return order
    if len(told) >= MOST_CLAIMS:
        raise NotTheirsToSay(f"{source} tells of more than {MOST_CLAIMS} refunds of one order")
    claim = Claim(source=source, refund_id=fact.refund_id, amount=fact.amount, reference=fact.reference, at=fact.envelope.time)
    in_sequence = sorted((*order.claims, claim), key=lambda each: (each.refund_id, each.source, each.amount.amount))
    return order.but(claims=tuple(in_sequence))


@_add.register
def _(fact: RefundFailed, order: Order) -> Order:
    asked = order.refunds.get(fact.refund_id, GIVEN_BACK_UNASKED)
    # what we had sent came back; what a shop says that it gave back, its claim says still
    failed = asked.model_copy(update={"failure": fact.reason, "reference": None})
    return _held(order.but(refunds={**order.refunds, fact.refund_id: failed}), fact, failed.refusal, of_refund=True)


@_add.register
def _(fact: ShipmentCreated, order: Order) -> Order:
    return order.but(parcel=Parcel(shipment_id=fact.shipment_id, carrier=fact.carrier, waybill=fact.waybill))


@_add.register
def _(fact: TrackingPushed, order: Order) -> Order:
    return order.but(pushed_at=fact.envelope.time)


@_add.register
def _(fact: ShipmentInTransit, order: Order) -> Order:
    return order.but(in_transit_at=fact.at)


@_add.register
def _(fact: ShipmentDelivered, order: Order) -> Order:
    return order.but(delivered_at=max(fact.at, order.delivered_at or fact.at))


@_add.register
def _(fact: ShipmentFailed, order: Order) -> Order:
    return _held(order, fact, fact.reason)
