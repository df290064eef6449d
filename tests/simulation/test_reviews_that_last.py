"""A person takes longer than stock is set aside for: what is held waits all the same, and goes on as far as there is stock."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from services.inventory.reservation import State as StockState
from services.inventory.shelf import Kind, Movement, Shelf
from services.orders import lifecycle
from services.orders.order import Order, Status
from services.payments.charging import Ending
from shared.events.fields import OrderedLine, PaymentChoice
from shared.events.orders import OrderSubmitted
from tests.builders import a_customer, an_address
from tests.simulation.history import History
from tests.simulation.plugged import RESERVED_FOR, Stage, plugged
from tests.simulation.promises import broken

SEEDS = range(40)
"""Each another sequence of what is said meanwhile."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with plugged() as stage:
        yield stage


class House:
    """The four services, with two dear pieces, and nothing that goes wrong."""

    def __init__(self, seed: int, stage: Stage, fate: str) -> None:
        self.history = stage.partners = History(seed)
        self.bus, self.people = self.history.bus, self.history.people
        self.bus.troubled, self.people.to_come = False, []
        self.history.card.fates = (fate,)
        self.bus.inventory.shelves = {("DEAR", "main"): Shelf("main", 2, 0)}
        self.bus.inventory.movements = {0: Movement("DEAR", "main", Kind.ADJUSTED, 2, reason="opening")}

    def order(self, id: str, quantity: int, channel: str = "card") -> None:
        lines = (OrderedLine(sku="DEAR", quantity=quantity),)
        choice = PaymentChoice(channel=channel, token="tok")
        wish = OrderSubmitted(
            order_id=id, currency="CNY", customer=a_customer(), ship_to=an_address(), lines=lines, payment=choice
        )
        self.bus.hear(wish, "/shops/a", self.bus.now)
        self.settle()

    def settle(self) -> None:
        while self.bus.queues or self.history._work(whole=True):
            if self.bus.queues:
                self.bus.deliver()

    def let_stock_run_out_of_time(self) -> None:
        self.bus.now += RESERVED_FOR + timedelta(minutes=1)
        self.history._do_duties()
        self.settle()

    def release(self) -> None:
        assert self.people.release("T-0")
        self.settle()

    @property
    def the_order(self) -> Order:
        return self.bus.orders.orders["T-0"]

    def at_the_end(self) -> list[str]:
        assert any(not self.history._go_on() for _ in range(2000))
        return broken(self.history)


def a_held_order(seed: int, stage: Stage, why: str) -> House:
    """One piece that the provider holds the money of, or two that screening wants to be looked at; its stock runs out of time."""
    house = House(seed, stage, "holds" if why == "held" else "takes")
    house.order("T-0", 1 if why == "held" else 2)
    house.let_stock_run_out_of_time()
    assert house.bus.inventory.reservations["T-0"].state is StockState.EXPIRED
    return house


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("why", ["review", "held"])
def test_what_is_held_stays_held_and_is_shipped_when_it_is_released(seed: int, why: str, stage: Stage) -> None:
    house = a_held_order(seed, stage, why)
    assert house.the_order.status is Status.HELD

    house.release()

    assert house.the_order.status in (Status.PAID, Status.SHIPPED)
    assert house.bus.inventory.reservations["T-0"].state is StockState.COMMITTED
    assert house.at_the_end() == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("why", ["review", "held"])
def test_when_its_stock_was_sold_meanwhile_it_is_paid_and_held_for_that(seed: int, why: str, stage: Stage) -> None:
    house = a_held_order(seed, stage, why)
    for other in ("T-1", "T-2"):
        house.order(other, 1, "invoice")

    house.release()

    assert (house.the_order.status, house.the_order.captured) == (Status.HELD, house.the_order.placed.total.amount)  # type: ignore[union-attr]
    assert [hold.reason for hold in house.the_order.open_holds] == [f"out_of_stock: {1 if why == 'held' else 2} × DEAR"]
    assert house.people.decide("T-0", lambda order, now: lifecycle.cancel(order, "no stock", now))
    house.settle()
    assert (house.the_order.status, house.the_order.refunded) == (Status.CANCELLED, house.the_order.captured)
    assert house.at_the_end() == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("why", ["review", "held"])
def test_a_person_can_still_call_it_off(seed: int, why: str, stage: Stage) -> None:
    house = a_held_order(seed, stage, why)

    assert house.people.decide("T-0", lambda order, now: lifecycle.cancel(order, "fraud", now))
    house.settle()

    assert house.the_order.status is Status.CANCELLED
    assert house.bus.payments.payments["T-0"].ending is Ending.VOIDED
    assert house.at_the_end() == []
