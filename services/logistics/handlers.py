"""Events in: what happens on X?"""

from datetime import datetime

from services.logistics import progress, shipping, store
from services.logistics.carriers import carriers
from services.logistics.routing import pick
from services.logistics.settings import settings
from services.logistics.shipping import Shipment
from shared.database import Tx
from shared.events.fields import Address
from shared.events.orders import OrderCancelled, OrderPaid, OrderReleased
from shared.events.stock import StockDeducted
from shared.subscriptions import Subscriptions

on = Subscriptions()

Fact = OrderPaid | StockDeducted | OrderCancelled | OrderReleased


@on.any_of(OrderPaid, StockDeducted, OrderCancelled, OrderReleased, ours=True)
async def learn_facts(facts: list[Fact], tx: Tx) -> None:
    """Add what others say to their orders' shipments, and do what it calls for: one parcel an order."""
    orders = {fact.order_id for fact in facts}
    before = await store.lock(tx, orders)
    new = orders - before.keys()
    before |= {order_id: shipping.unheard_of(order_id) for order_id in new}
    cancelled = [before[fact.order_id] for fact in facts if isinstance(fact, OrderCancelled)]
    begun = await store.call_off(tx, cancelled) if cancelled else set()
    after = dict(before)
    for fact in facts:
        known = after[fact.order_id]
        after[fact.order_id] = _learn(known, fact, tx.now, may_be_booked=known.shipment_id in begun)
    if known_by_now := await progress.settle(tx, before, after, new):
        await learn_facts([fact for fact in facts if fact.order_id in known_by_now], tx)


def _learn(known: Shipment, fact: Fact, now: datetime, *, may_be_booked: bool) -> Shipment:
    match fact:
        case OrderPaid():  # by the carrier that goes there
            return shipping.pay(known, fact, _carrier(fact.ship_to), fact.envelope.time)
        case StockDeducted():  # what is paid is shipped once its pieces have left the books
            return shipping.deduct(known, now)
        case OrderCancelled():  # nothing is sent that has not left; known before the order is paid, no parcel is made at all
            return shipping.cancel(known, now, may_be_booked=may_be_booked)
        case OrderReleased():  # a parcel that failed is tried again; the routes may be others by now
            return shipping.release(known, _carrier(known.ship_to) if known.ship_to else None, now)


def _carrier(ship_to: Address) -> str | None:
    return pick(settings().routes, carriers(), ship_to)
