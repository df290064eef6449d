"""Events in: what happens on X?"""

from services.logistics import progress, shipping, store
from services.logistics.carriers import carriers
from services.logistics.routing import pick
from services.logistics.settings import settings
from shared.database import Tx
from shared.events.orders import OrderCancelled, OrderPaid, OrderReleased
from shared.events.stock import StockDeducted
from shared.subscriptions import Subscriptions

on = Subscriptions()


@on(OrderPaid, ours=True)
async def ship(orders: list[OrderPaid], tx: Tx) -> None:
    """One parcel an order, with the carrier that goes there; our own fleet's waybill is there at once."""
    before = await store.lock(tx, [order.order_id for order in orders])
    after = dict(before)
    for order in orders:
        carrier = pick(settings().routes, carriers(), order.ship_to)
        after[order.order_id] = shipping.pay(after[order.order_id], order, carrier, order.envelope.time)
    await progress.settle(tx, before, after)


@on(StockDeducted, ours=True)
async def pack(deductions: list[StockDeducted], tx: Tx) -> None:
    """What is paid is shipped once its pieces have left the books."""
    before = await store.lock(tx, [deduction.order_id for deduction in deductions])
    await progress.settle(tx, before, {id: shipping.deduct(shipment, tx.now) for id, shipment in before.items()})


@on(OrderCancelled, ours=True)
async def call_off(orders: list[OrderCancelled], tx: Tx) -> None:
    """Nothing is sent that has not left; known before the order is paid, it keeps the parcel from being made at all."""
    before = await store.lock(tx, [order.order_id for order in orders])
    begun = await store.call_off(tx, before.values())
    after = {
        id: shipping.cancel(shipment, tx.now, may_be_booked=shipment.shipment_id in begun) for id, shipment in before.items()
    }
    await progress.settle(tx, before, after)


@on(OrderReleased, ours=True)
async def try_again(orders: list[OrderReleased], tx: Tx) -> None:
    """A parcel that failed is tried again; the routes may be others by now."""
    before = await store.lock(tx, [order.order_id for order in orders])
    after = dict(before)
    for id, shipment in before.items():
        carrier = pick(settings().routes, carriers(), shipment.ship_to) if shipment.ship_to else None
        after[id] = shipping.release(shipment, carrier, tx.now)
    await progress.settle(tx, before, after)
