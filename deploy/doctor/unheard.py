"""What one service has said of an order and another has not heard. The bus does not lose it; a broker whose disk was lost does,
and so does a database that was set back alone."""

from collections.abc import Iterator
from datetime import datetime

from deploy.doctor.case import Case
from services.inventory.reservation import Reservation
from services.logistics import shipping
from services.logistics.shipping import Shipment
from services.orders import lifecycle
from services.orders.order import Order, Status
from services.payments import charging, refunds
from services.payments.charging import Payment
from shared.events import Event
from shared.events.orders import OrderCancelled, OrderPaid, OrderPlaced, OrderReleased, RefundRequested, RefundReturned
from shared.events.payments import PaymentCaptured, PaymentRefunded, PaymentReviewRequired, RefundFailed
from shared.events.shipments import (
    ShipmentCancelled,
    ShipmentCreated,
    ShipmentDelivered,
    ShipmentFailed,
    ShipmentInTransit,
    TrackingPushed,
)
from shared.events.stock import StockDeducted, StockRejected, StockReserved

Said = tuple[str, Event]
"""The service whose word it is, and the word."""


def unheard(case: Case) -> list[Said]:
    """In the sequence of an order's journey. To say it again is safe: a fact takes effect once, however often it is said."""
    every = [("orders", _by_orders), ("inventory", _by_inventory), ("payments", _by_payments), ("logistics", _by_logistics)]
    return [(service, event) for service, said_by in every for event in said_by(case)]


def said_at(case: Case, event: Event) -> datetime | None:
    """When it was said first, where others know it by that: a release names by its time what a person was asked to look at."""
    return case.payment.asked_at if isinstance(event, PaymentReviewRequired) and not case.payment.doubt else None


def _by_orders(case: Case) -> Iterator[Event]:
    order, reservation, payment, shipment = case.order, case.reservation, case.payment, case.shipment
    asked = {refund.id for refund in case.refunds if refund.reason}
    gone = {(refund.id, refund.reference) for refund in case.refunds if refund.state is refunds.State.REFUNDED}
    for event in lifecycle.follows(Order(id=order.id), order):
        match event:
            case OrderPlaced():
                is_missed = not reservation.lines or payment.placed is None
            case OrderPaid():
                is_missed = not reservation.paid or shipment.paid_at is None
            case OrderCancelled():
                is_missed = not (reservation.cancelled and payment.cancelled and shipment.cancelled_at)
            case OrderReleased():
                is_missed = order.status in (Status.PLACED, Status.PAID) and _still_waits_for_a_person(case)
            case RefundRequested():
                is_missed = event.refund_id not in asked
            case RefundReturned():
                is_missed = (event.refund_id, event.reference) in gone
            case _:
                is_missed = False
        if is_missed:
            yield event


def _still_waits_for_a_person(case: Case) -> bool:
    return (
        case.payment.state in (charging.State.REVIEW, charging.State.HELD)
        or case.reservation.shortage is not None
        or case.shipment.state is shipping.State.FAILED
    )


def _by_inventory(case: Case) -> Iterator[Event]:
    held, id = case.reservation, case.order.id
    if held.allocations and (not case.payment.reserved or (held.collected and not case.order.reserved)):
        yield StockReserved(order_id=id, allocations=held.allocations, expires_at=held.expires_at)
    if held.deducted and case.shipment.deducted_at is None:
        yield StockDeducted(order_id=id, allocations=held.allocations)
    if held.shortage and case.order.status in (Status.PLACED, Status.PAID) and case.order.released_at is None:
        yield StockRejected(order_id=id, reason=held.shortage.reason, missing=held.shortage.missing, paid=held.is_paid_for)


def _by_payments(case: Case) -> Iterator[Event]:
    order, payment = case.order, case.payment
    for event in charging.follows(charging.unheard_of(order.id), payment) if payment.placed else ():
        # of what did not end in money, orders must hear only while it waits for the money
        if (
            order.receipt is None
            if isinstance(event, PaymentCaptured)
            else order.status is Status.PLACED and not order.payment_url
        ):
            yield event
    for refund in case.refunds:
        known = order.refunds.get(refund.id)
        for event in refunds.follows(None, refund):
            match event:
                case PaymentRefunded() if known is None or known.reference is None:
                    yield event
                case RefundFailed() if known is None or known.failure is None:
                    yield event


def _by_logistics(case: Case) -> Iterator[Event]:
    order, shipment = case.order, case.shipment
    for event in shipping.follows(shipping.unheard_of(order.id), shipment):
        match event:
            case ShipmentCreated():
                is_missed = order.parcel is None
            case TrackingPushed():
                is_missed = order.pushed_at is None
            case ShipmentInTransit():
                is_missed = order.in_transit_at is None
            case ShipmentDelivered():
                is_missed = order.delivered_at is None
            case ShipmentFailed():
                is_missed = order.status in (Status.PAID, Status.SHIPPED) and order.released_at is None
            case ShipmentCancelled():
                is_missed = not case.reservation.stays
            case _:
                is_missed = False
        if is_missed:
            yield event


def nothing_known(order_id: str) -> tuple[Reservation, Payment, Shipment]:
    """What services know of an order that they have not heard of."""
    return Reservation(order_id), charging.unheard_of(order_id), shipping.unheard_of(order_id)
