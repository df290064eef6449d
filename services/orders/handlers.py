"""Events in: what happens on X?"""

from datetime import datetime, timedelta

from services.orders import admission, lifecycle, placing, progress, store
from services.orders.interception import suspicions, suspicions_of_paid
from services.orders.learning import learn
from services.orders.order import Order
from services.orders.settings import settings
from shared.database import Tx
from shared.events import Event
from shared.events.orders import OrderPaid, OrderRejected, OrderSubmitted
from shared.events.payments import (
    PaymentActionRequired,
    PaymentCaptured,
    PaymentFailed,
    PaymentRefunded,
    PaymentReviewRequired,
    PaymentVoided,
    RefundFailed,
)
from shared.events.products import ProductChanged, ProductCreated, ProductDeleted
from shared.events.shipments import (
    ShipmentCancelled,
    ShipmentCreated,
    ShipmentDelivered,
    ShipmentFailed,
    ShipmentInTransit,
    TrackingPushed,
)
from shared.events.stock import StockDeducted, StockRejected, StockReleased, StockReserved
from shared.subscriptions import Subscriptions

on = Subscriptions()


@on(OrderSubmitted, ours=False)
async def place(wishes: list[OrderSubmitted], tx: Tx) -> None:
    """Price and place each order as `POST /api/orders` would; what cannot be priced is rejected, with the reason."""
    prices = await store.prices(tx, {line.sku for wish in wishes for line in wish.lines})
    orders: list[Order] = []
    for wish in wishes:
        try:
            placed = placing.placed(wish.order_id, wish.envelope.source, wish, prices)
        except placing.CannotPrice as refusal:
            tx.announce([rejected(wish, refusal)])
        else:
            orders.append(lifecycle.place(placed, tx.now, suspicions(wish.lines, settings().orders_review_quantity)))
    await admission.admit(tx, orders)


@on(OrderPaid, ours=False)
async def admit_paid(paid: list[OrderPaid], tx: Tx) -> None:
    """Take on orders whose money another system has collected; what is odd about one holds it for a person."""
    known = await store.prices(tx, {line.sku for order in paid for line in order.lines})
    review_quantity = settings().orders_review_quantity
    await admission.admit(
        tx,
        [
            lifecycle.place(
                placing.collected(order, order.envelope.source),
                tx.now,
                suspicions_of_paid(order, known, review_quantity),
            )
            for order in paid
        ],
    )


NOTED = (StockDeducted, StockReleased, ShipmentCancelled)
"""Heard for the timeline's sake: nothing follows from them here."""


@on.any_of(
    StockReserved,
    StockRejected,
    PaymentActionRequired,
    PaymentReviewRequired,
    PaymentCaptured,
    PaymentFailed,
    PaymentVoided,
    RefundFailed,
    ShipmentCreated,
    ShipmentFailed,
    ShipmentInTransit,
    ShipmentDelivered,
    TrackingPushed,
    *NOTED,
    ours=True,
    patient={StockReserved, ShipmentCreated, *NOTED},
)
async def learn_facts(facts: list[Event], tx: Tx) -> None:
    """Add what others say to their orders, and announce what follows."""
    telling = [fact for fact in facts if not is_only_noted(fact, tx.alone_since)]
    if not telling:
        return
    before = await store.lock(tx, {fact.subject for fact in telling})
    after = dict(before)
    for fact in telling:
        after[fact.subject] = learn(after[fact.subject], fact)
    await store.save(tx, after.values(), timedelta(seconds=settings().orders_return_window))
    progress.announce(tx, [(before[id], order) for id, order in after.items()])


def is_only_noted(fact: Event, alone_since: datetime) -> bool:
    """Nothing follows from it here. Stock that is set aside until the order is paid: its charge says so too, to a process of this
    release."""
    if isinstance(fact, StockReserved):
        return fact.expires_at is not None and fact.envelope.time >= alone_since
    return isinstance(fact, NOTED)


# a shop that took the money itself says so when it has given it back
on.any_of(PaymentRefunded)(learn_facts)


@on(ProductCreated, ours=True)
async def learn_price(products: list[ProductCreated], tx: Tx) -> None:
    """Keep our own copy of the price list."""
    await store.learn_prices(tx, products, on_sale=True)


@on(ProductChanged, ours=True)
async def learn_new_price(products: list[ProductChanged], tx: Tx) -> None:
    """A later order is priced anew; an earlier one keeps its price."""
    await store.learn_prices(tx, products, on_sale=True)


@on(ProductDeleted, ours=True)
async def forget_price(products: list[ProductDeleted], tx: Tx) -> None:
    """What is not sold any more cannot be ordered."""
    await store.learn_prices(tx, products, on_sale=False)


def rejected(wish: OrderSubmitted, refusal: placing.CannotPrice) -> OrderRejected:
    """The answer to the system that submitted it."""
    return OrderRejected(order_id=wish.order_id, source=wish.envelope.source, reason=refusal.reason, detail=refusal.detail)
