"""What happens in payments on each event."""

from services.payments import refunds, risk, settling
from services.payments.facts import Cancelled, Expired, Placed, Released, Reserved
from services.payments.settings import settings
from shared.database import Tx
from shared.events.orders import OrderCancelled, OrderPlaced, OrderReleased, RefundRequested
from shared.events.payments import PaymentRefunded
from shared.events.stock import StockReleased, StockReserved
from shared.subscriptions import Subscriptions

on = Subscriptions()


@on(OrderPlaced, ours=True)
async def learn_terms(orders: list[OrderPlaced], tx: Tx) -> None:
    """What is to be paid is known; money that the shop took is entered at once."""
    limits = risk.Limits(settings().review_above)
    await settling.learn(tx, [(order.order_id, _terms(order, risk.screen(order.total, limits))) for order in orders])


@on(StockReserved, ours=True)
async def charge_reserved(reserved: list[StockReserved], tx: Tx) -> None:
    """Nobody is charged for what is not there."""
    await settling.learn(tx, [(event.order_id, Reserved()) for event in reserved])


@on(StockReleased, ours=True)
async def call_off_expired(released: list[StockReleased], tx: Tx) -> None:
    """What was not paid in time is not charged any more; stock freed by a cancellation comes with order.cancelled."""
    await settling.learn(tx, [(event.order_id, Expired()) for event in released if event.reason == "expired"])


@on(OrderCancelled, ours=True)
async def call_off_cancelled(cancelled: list[OrderCancelled], tx: Tx) -> None:
    """A charge not yet made is called off; money already taken goes back when orders asks for it."""
    await settling.learn(tx, [(event.order_id, Cancelled(event.reason)) for event in cancelled])


@on(OrderReleased, ours=True)
async def go_on_after_review(released: list[OrderReleased], tx: Tx) -> None:
    """A person has looked: what was held goes on."""
    await settling.learn(tx, [(event.order_id, Released(event.envelope.time, event.answers)) for event in released])


@on(RefundRequested, ours=True)
async def give_back(requested: list[RefundRequested], tx: Tx) -> None:
    """Money goes back by whoever took it."""
    await settling.learn_refunds(
        tx,
        [
            refunds.Refund(
                id=event.refund_id, order_id=event.order_id, amount=event.amount, reason=event.reason, asked_by=event.asked_by
            )
            for event in requested
        ],
    )


@on(PaymentRefunded, ours=False)
async def hear_of_shops_refund(refunded: list[PaymentRefunded], tx: Tx) -> None:
    """The shop that took the money says that it has given some back. Said by any other, it is a dead letter."""
    await settling.learn_refunds(
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


def _terms(order: OrderPlaced, concerns: tuple[str, ...]) -> Placed:
    if order.collected_by is None:
        return Placed(order.total, order.payment.channel, order.payment.token, concerns=concerns)
    receipt = order.receipt.reference if order.receipt else order.order_id
    return Placed(order.total, order.payment.channel, collected_by=order.collected_by, receipt=receipt)
