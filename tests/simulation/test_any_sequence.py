"""What is told of orders may come in any sequence, some of it twice, in batches cut anywhere: each service's handlers
come to the same end. No inbox is there to help, and no partner to wait for."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.inventory.shelf import Shelf
from shared.events import OURS, Envelope, Event, received
from shared.events.orders import OrderCancelled, OrderReleased, OrderSubmitted, RefundRequested
from shared.events.payments import PaymentActionRequired, PaymentCaptured, PaymentFailed, PaymentRefunded, PaymentVoided
from shared.events.shipments import ShipmentCancelled, ShipmentCreated, ShipmentDelivered, ShipmentFailed, TrackingPushed
from shared.events.stock import StockDeducted, StockReleased, StockReserved
from shared.money import Money
from tests.builders import a_customer, a_paid_order, a_placed_order, an_address
from tests.simulation.bus import START, Bus
from tests.simulation.chance import Chance
from tests.simulation.history import History
from tests.simulation.people import PRICES
from tests.simulation.plugged import Stage, plugged

ORDERS = ("T-1", "T-2")
SHOP = "/shops/a"
TOTAL = Money(amount=29900, currency="CNY")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with plugged() as stage:
        yield stage


def from_us(*events: Event) -> list[Event]:
    return [told(event, OURS) for event in events]


def told(event: Event, source: str) -> Event:
    which = getattr(event, "refund_id", event.subject)
    return received(event, Envelope(f"{event.type}/{which}", source, event.type, event.subject, START))


def facts_for_orders(id: str) -> list[Event]:
    customer, line = a_customer(), {"sku": "A", "quantity": 1}
    parcel = {"order_id": id, "shipment_id": "s", "carrier": "dhl"}
    wish = {"order_id": id, "currency": "CNY", "customer": customer, "ship_to": an_address(), "lines": [line]}
    return [
        told(OrderSubmitted.model_validate(wish | {"payment": {"channel": "card"}}), SHOP),
        *from_us(
            StockReserved(order_id=id, allocations=()),
            PaymentActionRequired.model_validate({"order_id": id, "payment_id": "p", "url": "https://pay.example"}),
            PaymentCaptured(order_id=id, payment_id="p", channel="card", amount=TOTAL, reference="pi_1"),
            ShipmentCreated(**parcel, waybill="W"),
            TrackingPushed(**parcel, tracking_number="W", channel="app"),
            ShipmentDelivered(order_id=id, shipment_id="s", at=START),
            ShipmentFailed(order_id=id, shipment_id="s", reason="nobody at home"),
            PaymentFailed(order_id=id, payment_id="p", reason="generic_decline"),
            PaymentVoided(order_id=id, payment_id="p", reason="expired"),
        ),
    ]


def facts_for_orders_of_a_shop(id: str) -> list[Event]:
    some = Money(amount=100, currency="CNY")
    return [
        told(a_paid_order(id, sku="A"), SHOP),
        told(PaymentRefunded(order_id=id, refund_id=f"{id}:S-1", amount=some, reference="x"), SHOP),
        told(PaymentRefunded(order_id=id, refund_id=f"{id}:S-2", amount=some, reference="x"), SHOP),
        *from_us(StockReserved(order_id=id, allocations=()), ShipmentDelivered(order_id=id, shipment_id="s", at=START)),
    ]


def facts_for_inventory(id: str) -> list[Event]:
    return from_us(
        a_placed_order(id, sku="A"),
        a_paid_order(id, sku="A"),
        OrderCancelled(order_id=id, reason="changed my mind"),
        OrderReleased(order_id=id, released_by="an operator"),
    )


def facts_for_payments(id: str) -> list[Event]:
    return from_us(
        a_placed_order(id, channel="card", token="tok"),
        StockReserved(order_id=id, allocations=()),
        StockReleased(order_id=id, reason="expired"),
        OrderCancelled(order_id=id, reason="changed my mind"),
        OrderReleased(order_id=id, released_by="an operator", answers=(START,)),
    )


def facts_for_payments_of_a_shops_order(id: str) -> list[Event]:
    asked = {"order_id": id, "refund_id": f"{id}:cancel", "amount": TOTAL}
    return [
        *from_us(
            a_placed_order(id, collected_by=SHOP),
            StockReserved(order_id=id, allocations=()),
            OrderCancelled(order_id=id, reason="changed my mind"),
            RefundRequested.model_validate(asked | {"reason": "order_cancelled", "collected_by": SHOP}),
        ),
        told(PaymentRefunded.model_validate(asked | {"reference": "shop-1"}), SHOP),
    ]


def facts_for_payments_and_a_refund_by_hand(id: str) -> list[Event]:
    part = {"order_id": id, "amount": Money(amount=100, currency="CNY"), "reason": "scratched"}
    return from_us(
        a_placed_order(id, channel="invoice"),
        StockReserved(order_id=id, allocations=()),
        RefundRequested.model_validate(part | {"refund_id": f"{id}:R-1", "asked_by": "a clerk", "by_hand": "SEPA-1"}),
        RefundRequested.model_validate(part | {"refund_id": f"{id}:R-2"}),
    )


def facts_for_logistics(id: str) -> list[Event]:
    return from_us(
        a_paid_order(id),
        StockDeducted(order_id=id, allocations=()),
        OrderCancelled(order_id=id, reason="changed my mind"),
        OrderReleased(order_id=id, released_by="an operator"),
    )


STORIES = {
    "orders": facts_for_orders,
    "orders, of a shop's": facts_for_orders_of_a_shop,
    "inventory": facts_for_inventory,
    "payments": facts_for_payments,
    "payments, of a shop's order": facts_for_payments_of_a_shops_order,
    "payments, given back by hand": facts_for_payments_and_a_refund_by_hand,
    "logistics": facts_for_logistics,
}


class Told(Bus):
    """One service that is told facts in batches."""

    def __init__(self, service: str, stage: Stage) -> None:
        stage.partners = History(0)  # whom jobs would ask, and none runs
        super().__init__(Chance(0), lambda *_: None)
        self.service, self.troubled, self.forgetful = service, False, True
        self.orders.prices |= {sku: Money(amount=price, currency="CNY") for sku, price in PRICES.items()}
        self.inventory.shelves["A", "main"] = Shelf("main", 9, 0)

    def tell(self, facts: Sequence[Event]) -> None:
        """As deliveries that arrive together are joined: all of one type, in one transaction."""
        for _, batch in groupby(facts, key=lambda fact: fact.type):
            self._once(self.service, list(batch))

    def end(self) -> object:
        """What it has come to, but for ids and the times at which it was told."""
        orders = {id: order.but(holds=frozenset(order.holds), placed_at=None) for id, order in self.orders.orders.items()}
        stock = [replace(each, expires_at=None) for each in self.inventory.reservations.values()]
        money = [
            replace(each, id=UUID(int=0), due_at=each.due_at and START, released_at=None)
            for each in self.payments.payments.values()
        ]
        refunds = [replace(each, due_at=each.due_at and START) for each in self.payments.refunds.values()]
        parcels = [(each.order_id, each.state) for each in self.logistics.shipments.values()]
        entered = [(each.kind, each.order_id, each.refund_id, each.amount) for each in self.payments.ledger.values()]
        return (
            orders,
            sorted(stock, key=lambda each: each.order_id),
            self.inventory.shelves,
            sorted(money, key=lambda each: each.order_id),
            sorted(refunds, key=lambda each: each.id),
            sorted(parcels),
            sorted(entered, key=str),
        )


@pytest.mark.parametrize("story", STORIES)
@settings(max_examples=60, deadline=timedelta(seconds=2), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_facts_in_any_sequence_some_twice_in_any_batches_come_to_the_same_end(
    story: str, stage: Stage, data: st.DataObject
) -> None:
    facts = [fact for id in ORDERS for fact in STORIES[story](id)]
    chosen = [fact for fact in facts if data.draw(st.booleans(), label=f"{fact.type} {fact.subject}")]
    if story == "inventory":  # of what is cancelled it is always said that there will be no parcel, or that it has left
        called_off = [fact.subject for fact in chosen if isinstance(fact, OrderCancelled)]
        chosen += from_us(*(ShipmentCancelled(order_id=id, shipment_id="s") for id in called_off))
    again = data.draw(st.lists(st.sampled_from(chosen or facts[:1]), max_size=4), label="again") if chosen else []
    sequence = data.draw(st.permutations([*chosen, *again]), label="sequence")
    if data.draw(st.booleans(), label="joined"):  # what waits in one queue is taken together
        sequence.sort(key=lambda fact: fact.type)
    cuts = data.draw(st.lists(st.integers(0, len(sequence)), max_size=6).map(sorted), label="cuts")

    plainly, wildly = (Told(story.partition(",")[0], stage) for _ in range(2))
    for fact in chosen:
        plainly.tell([fact])
    for start, stop in zip([0, *cuts], [*cuts, len(sequence)], strict=True):
        wildly.tell(sequence[start:stop])

    assert wildly.end() == plainly.end()


@pytest.mark.parametrize("story", STORIES)
def test_every_story_leads_somewhere(story: str, stage: Stage) -> None:
    bus = Told(story.partition(",")[0], stage)

    bus.tell(STORIES[story]("T-1"))

    assert bus.end() != Told(bus.service, stage).end()
