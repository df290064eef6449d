"""An order's way through the demo: it is handed in, somebody does what its story says, and it comes to its end."""

import asyncio
from dataclasses import dataclass

from deploy.demo.installation import Installation, Trouble, ask
from deploy.demo.sending import Intake
from deploy.demo.shoppers import Purchase
from deploy.demo.stories import Ending, Then
from deploy.demo.watching import Watch
from shared.events.shipments import ShipmentCreated

SAYS = {
    Ending.SHIPPED: "tracking.pushed",
    Ending.COMPLETED: "order.completed",
    Ending.REFUNDED: "payment.refunded",
    Ending.CANCELLED: "order.cancelled",
    Ending.HELD: "order.held",
    Ending.REJECTED: "order.rejected",
}
"""The event that tells that an order has come to this end."""

FINAL = ("order.cancelled", "order.completed")
"""After these nothing follows, whatever was expected."""

RESTING = (*FINAL, "order.held", "tracking.pushed")
"""After these nothing follows unless somebody does something."""

REFUNDED_PART = 1000
"""Minor units; less than anything costs."""


@dataclass(slots=True)
class Course:
    """How far a purchase has come. `trouble`: why it could not go on."""

    purchase: Purchase
    order_id: str | None = None
    has_ended: bool = False
    trouble: str | None = None

    def status(self, watch: Watch) -> str:
        """Where it is, as far as the bus has told."""
        if self.order_id is None:
            return "waiting"
        if self.purchase.story.taken_id:
            return "rejected" if watch.said(self.order_id, "order.rejected") else "sent"
        return watch.status(self.order_id)


class Guide:
    """Sees orders through. At most so many are handed in at the same time."""

    def __init__(self, shop: Installation, intake: Intake, watch: Watch, at_once: int = 24) -> None:
        self._shop = shop
        self._intake = intake
        self._watch = watch
        self._turn = asyncio.Semaphore(at_once)

    async def see_through(self, together: list[Course]) -> None:
        """Hand in what comes together, and follow each to its end."""
        try:
            await self._hand_in(together)
        except Trouble as trouble:
            for course in together:
                course.trouble = str(trouble)
            return
        await asyncio.gather(*(self._follow(course) for course in together))

    async def _hand_in(self, together: list[Course]) -> None:
        first = together[0].purchase
        if first.story.taken_id:
            await self._watch.hear(first.reference, "order.placed")
        async with self._turn:
            ids = await self._intake.hand_in([course.purchase for course in together])
        for course, order_id in zip(together, ids, strict=True):
            course.order_id = order_id

    async def _follow(self, course: Course) -> None:
        story, order_id = course.purchase.story, course.order_id
        assert order_id is not None, "it has been handed in"
        try:
            await self._do(story.then, order_id)
            await self._watch.hear(order_id, SAYS[story.ending], *(RESTING if story.then is Then.NOTHING else FINAL))
        except Trouble as trouble:
            course.trouble = str(trouble)
        else:
            course.has_ended = True

    async def _do(self, then: Then, order_id: str) -> None:
        match then:
            case Then.NOTHING:
                pass
            case Then.CANCEL:
                await self._watch.hear(order_id, "payment.action_required", *RESTING)
                await self._tell(order_id, "cancel", {"reason": "changed my mind"})
            case Then.CALL_OFF:
                await self._watch.hear(order_id, *RESTING)
                await self._tell(order_id, "cancel", {"reason": "nobody delivers there"})
                await self._watch.hear(order_id, "payment.refunded")
            case Then.RELEASE:
                await self._watch.hear(order_id, *RESTING)
                await self._tell(order_id, "release")
            case Then.REFUND_PART | Then.REFUND_ALL:
                await self._until_shipped(order_id)
                await self._tell(order_id, "refunds", {"amount": REFUNDED_PART} if then is Then.REFUND_PART else {})
                await self._watch.hear(order_id, "payment.refunded", *FINAL)
            case Then.DELIVER:
                await self._scan(order_id, "transit", "shipment.in_transit")
                await self._scan(order_id, "delivered", "shipment.delivered")
            case Then.NOT_AT_HOME:
                await self._scan(order_id, "transit", "shipment.in_transit")
                await self._scan(order_id, "failure", "shipment.failed")

    async def _tell(self, order_id: str, what: str, body: object = None) -> None:
        await ask(self._shop.orders, "POST", f"/api/orders/{order_id}/{what}", body, key=f"{order_id}-{what}")

    async def _until_shipped(self, order_id: str) -> None:
        """Orders itself knows that the parcel has left: the bus may have told us sooner."""
        await self._watch.hear(order_id, *RESTING)
        while True:
            order = (await ask(self._shop.orders, "GET", f"/api/orders/{order_id}")).json()
            if order["shipment"] or order["cancelled_because"]:
                return
            await asyncio.sleep(0.02)

    async def _scan(self, order_id: str, status: str, told_by: str) -> None:
        """The carrier's scanner, played by the sandbox."""
        await self._watch.hear(order_id, *RESTING)
        created = self._watch.said(order_id, "shipment.created")
        if not created or not isinstance(created[0], ShipmentCreated):
            raise Trouble(f"order {order_id} has no waybill to scan: {self._watch.last(order_id)}")
        await ask(self._shop.sandbox, "POST", f"/sandbox/shipments/{created[0].waybill}/scan", {"status": status})
        await self._watch.hear(order_id, told_by, *FINAL)
