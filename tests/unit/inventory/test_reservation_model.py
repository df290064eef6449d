"""Reservations behave like a shopkeeper with a notebook: so many pieces free, and for each order what he holds for it."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.inventory.reservation import State
from tests.unit.inventory.builders import Warehouse, cancelled, paid, placed, released, shelves, stays

WANTS = {"T-1": 1, "T-2": 2, "T-3": 3}
order_ids = st.sampled_from(sorted(WANTS))


@dataclass
class Page:
    """What the shopkeeper has noted of one order."""

    known: bool = False
    paid: bool = False
    cancelled: bool = False
    stays: bool = False
    held: int = 0
    gone: bool = False
    no: State | None = None

    @property
    def state(self) -> State:
        if self.cancelled and not self.held:
            return State.CANCELLED
        if self.held:
            return State.COMMITTED if self.gone else State.RESERVED
        return self.no or State.AWAITED


@dataclass
class Notebook:
    """One article, some pieces of it free."""

    free: int
    pages: dict[str, Page] = field(default_factory=lambda: {id: Page() for id in WANTS})

    def serve(self, id: str) -> None:
        """Hold what is wanted if all of it is there; hand it out once it is paid; take it back when it is called off, what was
        handed out only if it stayed here."""
        page = self.pages[id]
        if page.cancelled:
            if page.stays or not page.gone:
                self.free += page.held
                page.held = 0
        elif page.known and not page.held and not page.no:
            if self.free >= WANTS[id]:
                page.held, self.free = WANTS[id], self.free - WANTS[id]
            else:
                page.no = State.REJECTED
        page.gone = page.held > 0 and page.paid


class Reservations(RuleBasedStateMachine):
    """Whatever happens to three orders for the same article."""

    @initialize(pieces=st.integers(0, 6))
    def open_shop(self, pieces: int) -> None:
        self.warehouse = Warehouse(shelves(("A", "main", pieces)))
        self.notebook = Notebook(pieces)

    @rule(id=order_ids)
    def place(self, id: str) -> None:
        self.warehouse.tell(placed(("A", WANTS[id]), order_id=id))
        self.notebook.pages[id].known = True
        self.notebook.serve(id)

    @rule(id=order_ids)
    def pay(self, id: str) -> None:
        self.warehouse.tell(paid(("A", WANTS[id]), order_id=id))
        page = self.notebook.pages[id]
        if not page.paid:
            page.known, page.paid, page.no = True, True, None
        self.notebook.serve(id)

    @rule(id=order_ids)
    def cancel(self, id: str) -> None:
        self.warehouse.tell(cancelled(order_id=id))
        self.notebook.pages[id].cancelled = True
        self.notebook.serve(id)

    @rule(id=order_ids)
    def stay(self, id: str) -> None:
        self.warehouse.tell(stays(order_id=id))
        self.notebook.pages[id].stays = True
        self.notebook.serve(id)

    @rule(id=order_ids)
    def release(self, id: str) -> None:
        self.warehouse.tell(released(order_id=id))
        page = self.notebook.pages[id]
        if page.no is State.REJECTED:
            page.no = None
        self.notebook.serve(id)

    @rule(id=order_ids)
    def expire(self, id: str) -> None:
        self.warehouse.expire(id)
        page = self.notebook.pages[id]
        if page.held and not page.paid:
            self.notebook.free += page.held
            page.held, page.no = 0, State.EXPIRED

    @rule(pieces=st.integers(1, 3))
    def deliver(self, pieces: int) -> None:
        self.warehouse.deliver("A", pieces)
        self.notebook.free += pieces

    @invariant()
    def both_know_the_same(self) -> None:
        assert self.warehouse.shelves["A"].available == self.notebook.free
        for id, page in self.notebook.pages.items():
            reservation = self.warehouse.of(id)
            assert (reservation.state, sum(a.quantity for a in reservation.allocations)) == (page.state, page.held), id


TestReservations = Reservations.TestCase
TestReservations.settings = settings(max_examples=60, stateful_step_count=30)
