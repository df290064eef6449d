"""What happens in payments on each event."""

from functools import singledispatch

from services.payments import progress, refunds, risk
from services.payments.facts import Cancelled, Expired, Fact, Placed, Released, Reserved
from services.payments.settings import settings
from shared.database import Tx
from shared.events import Event
from shared.events.orders import OrderCancelled, OrderPlaced, OrderReleased, RefundRequested, RefundReturned
from shared.events.payments import PaymentRefunded
from shared.events.stock import StockReleased, StockReserved
from shared.subscriptions import Subscriptions

on = Subscriptions()


@on.any_of(OrderPlaced, StockReserved, StockReleased, OrderCancelled, OrderReleased, ours=True)
async def learn_facts(events: list[Event], tx: Tx) -> None:
    """Add what others say to their orders' payments, and charge, call off or go on as it calls for."""
    told = [(event.subject, _told(event)) for event in events]
    await progress.learn(tx, [(order_id, fact) for order_id, fact in told if fact])


@singledispatch
def _told(event: Event) -> Fact | None:
    raise TypeError(f"payments learns nothing from {event.type}")


@_told.register
def _(order: OrderPlaced) -> Fact:
    """What is to be paid is known; money that the shop took is entered at once."""
    concerns = risk.screen(order.total, risk.Limits(settings().review_above))
    if order.collected_by is None:
        return Placed(order.total, order.payment.channel, order.payment.token, concerns=concerns)
    receipt = order.receipt.reference if order.receipt else order.order_id
    return Placed(order.total, order.payment.channel, collected_by=order.collected_by, receipt=receipt)


@_told.register
def _(_: StockReserved) -> Fact:
    """Nobody is charged for what is not there."""
    return Reserved()


@_told.register
def _(released: StockReleased) -> Fact | None:
    """What was not paid in time is not charged any more, unless a person is asked about it. Stock freed by a cancellation comes
    with order.cancelled."""
    return Expired() if released.reason == "expired" else None


@_told.register
def _(cancelled: OrderCancelled) -> Fact:
    """A charge not yet made is called off; money already taken goes back when orders asks for it."""
    return Cancelled(cancelled.reason)


@_told.register
def _(released: OrderReleased) -> Fact:
    """A person has looked: what was held goes on."""
    return Released(released.envelope.time, released.answers)


@on(RefundRequested, ours=True)
async def give_back(requested: list[RefundRequested], tx: Tx) -> None:
    """Money goes back by whoever took it, unless a person has given it back already."""
    await progress.learn_refunds(
        tx,
        [
            refunds.Refund(
                id=event.refund_id,
                order_id=event.order_id,
                amount=event.amount,
                reason=event.reason,
                asked_by=event.asked_by,
                told=refunds.Told(event.envelope.source, event.by_hand) if event.by_hand else None,
            )
            for event in requested
        ],
    )


@on(RefundReturned, ours=True)
async def take_back(returned: list[RefundReturned], tx: Tx) -> None:
    """The bank has sent back what a person had transferred: it is ours again. Said of what is not in the books, it is a dead
    letter."""
    said = {(event.order_id, event.refund_id): refunds.Returned(event.reference, event.reason) for event in returned}
    if unknown := said.keys() - await progress.learn_answers(tx, list(said.items())):
        raise refunds.Contradiction(f"nothing is known of the refunds {sorted(unknown)}")


@on(PaymentRefunded, ours=False)
async def hear_of_shops_refund(refunded: list[PaymentRefunded], tx: Tx) -> None:
    """The shop that took the money says that it has given some back. Said by any other, it is a dead letter."""
    await progress.learn_refunds(
        tx,
        [
            refunds.Refund(
                id=event.refund_id,
                order_id=event.order_id,
                amount=event.amount,
                told=refunds.Told(event.envelope.source, event.reference),
            )
            for event in refunded
        ],
    )
