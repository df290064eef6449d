"""One history: a random number of orders, everything that can happen to them, and the end to which it comes."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast

from services.inventory import jobs as inventory_jobs
from services.inventory.shelf import Kind as MovementKind
from services.inventory.shelf import Movement, Shelf
from services.logistics import jobs as logistics_jobs
from services.logistics import progress as logistics_progress
from services.logistics import store as logistics_store
from services.logistics.carriers import Carrier as AnyCarrier
from services.logistics.routing import CarrierName
from services.logistics.shipping import Kind
from services.orders import jobs as orders_jobs
from services.payments import jobs as payments_jobs
from services.payments import progress as payments_progress
from services.payments import store as payments_store
from services.payments.channels import Channel
from services.payments.channels.invoice import Invoice
from services.payments.charging import State as ChargeState
from shared.events import Event
from shared.intents import Job
from shared.money import Money
from tests.simulation.bus import Bus, finish
from tests.simulation.chance import Chance
from tests.simulation.memory.tables import MemoryTx
from tests.simulation.partners import Carrier, Provider, Texts
from tests.simulation.people import PRICES, People
from tests.simulation.plugged import Stage

T = TypeVar("T")

PRICE_LIST = {sku: Money(amount=price, currency="CNY") for sku, price in PRICES.items()}

OUTAGE = timedelta(hours=28)
"""Longer than a provider remembers what it was asked for."""

LONGEST = 2000
"""Steps after which what has not come to rest never will."""

JOBS: tuple[tuple[str, Any, Job[Any, Any]], ...] = (
    *(("payments", lambda tx, job=job: job.claim(tx, 10), job) for job in (payments_jobs.charge, payments_jobs.refund)),
    *(
        ("logistics", lambda tx, kind=kind: logistics_store.claim(tx, kind, 10), job)
        for kind, job in (
            (Kind.BOOK, logistics_jobs.book),
            (Kind.WITHDRAW, logistics_jobs.withdraw),
            (Kind.NOTIFY, logistics_jobs.notify),
        )
    ),
)

DUTIES: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("inventory", inventory_jobs.expire_reservations),
    ("logistics", logistics_jobs.match_early_scans),
    ("logistics", logistics_jobs.match_very_early_scans),
    ("orders", orders_jobs.complete_delivered),
)


@dataclass
class InHand:
    """A claimed intent; with its answer, once the partner gave one."""

    service: str
    job: Job[Any, Any]
    intent: Any
    answers: list[Any] = field(default_factory=list)

    async def record(self, tx: MemoryTx) -> None:
        """Keep the answer."""
        await self.job.record(tx, [(self.intent, self.answers[0])])


class History:
    """Everything that happens follows from the seed."""

    def __init__(self, seed: int, trace: list[str] | None = None) -> None:
        self.seed = seed
        self.random = Chance(seed)
        self.trace = trace
        self.bus = bus = Bus(self.random, self._note if trace is not None else lambda *_: None)
        fates: tuple[str, ...] = ("takes", "takes", "takes", "takes", "declines", "holds", "holds", "decides later", "fails")
        if a_bad_day := self.random.random() < 0.08:
            fates = ("takes too little", "takes, keeps", "takes, keeps for now", "takes, returns", "takes, returns", "holds")
        self.card = Provider("card", bus, fates, self._is_approved)
        self.redirect = Provider("redirect", bus, ("pays", "pays", "pays", "fails", "leaves"), self._is_approved)
        self.dhl, self.fleet = Carrier(bus, self._is_called_off, is_ours=False), Carrier(bus, self._is_called_off, is_ours=True)
        self.channels: dict[str, Channel] = {each.name: each for each in (self.card, self.redirect, Invoice())}
        self.carriers: dict[str, AnyCarrier] = {CarrierName.OWN_FLEET: self.fleet, CarrierName.DHL: self.dhl}
        self.texts = Texts(bus)
        self.people = People(bus, self._let_try_again, self._sent_by_provider)
        self.people.bad_day = a_bad_day
        self.broken: set[str] = set()
        self.in_hand: list[InHand] = []
        self.steps = 0
        self._stock()
        if self.random.random() < 0.7:
            self.dhl.off, self.fleet.off = self._off(), self._off()
            for service in bus.services.values():
                service.off = self._off()

    def play(self, stage: Stage) -> bool:
        """From the first order to rest; whether it came to rest."""
        stage.partners = self
        for _ in range(self.random.randint(5, 70)):
            self._step()
        self.bus.troubled = False
        self.bus.note("-- nothing goes wrong any more --")
        return any(not self._go_on() for _ in range(LONGEST))

    def _step(self) -> None:
        self.steps += 1
        if self.people.regret():
            return
        chance = self.random.random()
        if self.bus.queues and chance < 0.55:
            self.bus.deliver()
        elif chance < 0.75:
            self._work()
        elif chance < 0.82:
            time = timedelta(seconds=self.random.choice((1, 5, 30, 120, 600, 1200, 7200)))
            self._pass_time(OUTAGE if chance < 0.754 else time)
        elif chance < 0.90:
            self.random.choice((self._partners_go_on, self._hear_webhook, self._hear_scans))()
        else:
            self.people.act()

    def _go_on(self) -> bool:
        """Do something that is still to be done, by whoever it is; False when there is nothing any more."""
        self.steps += 1
        if self.people.regret():
            return True
        if self.bus.queues:
            self.bus.deliver()
            return True
        if self.bus.unpublished:
            self.bus.sweep()
            return True
        if any([self._work(whole=True), self.people.order(), self._hear_webhook(), self._hear_scans()]):
            return True
        if self.bus.queues:  # what was not asked for again, too late, was said at once
            return True
        if self._partners_go_on() or self.people.go_on():
            return True
        dues = [due - service.off for service in self.bus.services.values() for due in service.tables.next_due()]
        dues += [letter.due for letter in self.bus.letters if letter.due]
        if not dues:
            return False
        self._pass_time(max(min(dues) - self.bus.now, timedelta()) + timedelta(seconds=1))
        return True

    def _work(self, *, whole: bool = False) -> bool:
        """A step of the jobs that ask partners: claim, call, record; who dies in between leaves a lease."""
        if not self.in_hand or self.bus.strikes(0.3):
            due = [service for service in ("payments", "logistics") if self.bus.is_due(service)]
            for service, claim, job in [each for each in JOBS if each[0] in due] if due else ():
                self.in_hand += [InHand(service, job, intent) for intent in self._attempt(service, claim) or ()]
        if not self.in_hand:
            return False
        while self.in_hand:
            one = self.random.take(self.in_hand)
            if self.bus.strikes(0.05):
                self.bus.note("%s dies while it asks (%s)", one.service, one.job.name)
            elif not one.answers:
                one.answers.append(finish(cast(Coroutine[Any, Any, Any], one.job.call(one.intent))))
                self.bus.note("%s: %s is answered %s", one.service, one.job.name, one.answers[0])
                self.in_hand.append(one)
            else:
                self._attempt(one.service, one.record)
            if not whole:
                break
        return True

    def _pass_time(self, time: timedelta) -> None:
        self._look_for_vain_releases()
        self.bus.now += time
        self.bus.note("-- %s passes: %s --", time, self.bus.now)
        # a call takes seconds, or its process is dead; only an answer may wait longer to be kept, by one that was paused
        self.in_hand = [one for one in self.in_hand if one.answers and self.bus.strikes(0.5)]
        if self.bus.strikes(0.05):
            service = self.random.choice(list(self.bus.services.values()))
            service.off = self._off()
            self.bus.note("the clock of %s is set: it is off by %s", service.name, service.off)
        self._do_duties()
        self.bus.retry()
        if not self.bus.strikes(0.5):
            self.bus.sweep()

    def _do_duties(self) -> None:
        for service, duty in DUTIES:
            if self.bus.is_due(service):
                self._attempt(service, duty)

    def _attempt(self, service: str, work: Callable[[MemoryTx], Coroutine[Any, Any, T]]) -> T | None:
        """A transaction that should never fail: nobody would try it again."""
        try:
            return self.bus.transact(service, work)
        except Exception as error:
            self.bus.note("%s fails: %r", service, error)
            self.broken.add(f"{service} fails: {error!r}")
            return None

    def _partners_go_on(self) -> bool:
        return sum(each.goes_on() for each in (self.card, self.redirect, self.dhl, self.fleet)) > 0

    def _hear_webhook(self) -> bool:
        """As services/payments/api.py does; a webhook may come again."""
        if self._hear_of_return(self.card) or self._hear_of_return(self.redirect):
            return True
        if not self.redirect.webhooks:
            return False
        told = self.random.choice(self.redirect.webhooks)
        if not self.bus.strikes(0.3):
            self.redirect.webhooks.remove(told)
        id, payment, answer = told
        self.bus.note("a webhook says of %s: %s", payment.order_id, answer)

        async def hear(tx: MemoryTx) -> None:
            if await payments_store.take_webhook(tx, "stripe", id, "checkout.session"):
                order_id = await payments_store.order_of(tx, payment.id)
                assert order_id is not None
                await payments_progress.learn(tx, [(order_id, answer)])

        self._attempt("payments", hear)
        return True

    def _hear_of_return(self, provider: Provider) -> bool:
        if not provider.returns:
            return False
        told = self.random.choice(provider.returns)
        if not self.bus.strikes(0.3):
            provider.returns.remove(told)
        self.bus.note("a webhook says of refund %s: %s", *told)

        async def hear(tx: MemoryTx) -> None:
            assert await payments_progress.learn_answers(tx, [told]) == {told[0]}

        self._attempt("payments", hear)
        return True

    def _hear_scans(self) -> bool:
        """As services/logistics/api.py does; scans come in any sequence, some again."""
        carrier = self.random.choice((self.dhl, self.fleet))
        if not carrier.scans:
            carrier = self.dhl if carrier is self.fleet else self.fleet
        if not carrier.scans:
            return False
        scans = self.random.sample(carrier.scans, self.random.randint(1, len(carrier.scans)))
        if not self.bus.strikes(0.3):
            carrier.scans = [scan for scan in carrier.scans if scan not in scans]
        self.bus.note("scans: %s", scans)

        async def hear(tx: MemoryTx) -> None:
            await logistics_store.keep_scans(tx, sorted(scans))
            await logistics_progress.track(tx, sorted(scans))

        self._attempt("logistics", hear)
        return True

    def _is_approved(self, order_id: str, reason: str) -> bool:
        """Whether a person has seen that, and has let it go on."""
        return any(hold.reason == reason for hold in self.bus.orders.orders[order_id].answered)

    def _look_for_vain_releases(self) -> None:
        """What a person let go on goes on, once payments has heard of it."""
        bus = self.bus
        unheard = bus.unpublished or bus.letters or any(event.type == "order.released" for event in bus.waiting_for("payments"))
        for payment in self.bus.payments.payments.values() if not unheard else ():
            if payment.state is ChargeState.HELD and self._is_approved(payment.order_id, "elevated_risk_level"):
                self.broken.add(f"{payment.order_id}: a person has released it, and its money is held all the same")
            if payment.state is ChargeState.REVIEW and self._is_approved(payment.order_id, "; ".join(payment.terms.concerns)):
                self.broken.add(f"{payment.order_id}: a person has released it, and it is not charged all the same")

    def _is_called_off(self, reference: str) -> bool:
        found = next((each for each in self.bus.logistics.shipments.values() if each.reference == reference), None)
        return found is not None and self.bus.orders.orders[found.order_id].cancel_reason is not None

    def _let_try_again(self, order_id: str) -> None:
        if shipment := self.bus.logistics.shipments.get(order_id):
            self.dhl.try_again(shipment.reference)
            self.fleet.try_again(shipment.reference)

    def _sent_by_provider(self, order_id: str) -> Mapping[str, int]:
        charges = [each.charges[order_id] for each in (self.card, self.redirect) if order_id in each.charges]
        return charges[0].sent_back if charges else {}

    def _stock(self) -> None:
        """Pieces on two shelves of each article, and the price list."""
        self.bus.orders.prices |= PRICE_LIST
        for sku in PRICES:
            for location in ("east", "main"):
                pieces = self.random.choice((0, 1, 2, 3, 8))
                self.bus.inventory.shelves[sku, location] = Shelf(location, pieces, 0)
                if pieces:
                    moved = Movement(sku, location, MovementKind.ADJUSTED, pieces, reason="opening")
                    self.bus.inventory.movements[len(self.bus.inventory.movements)] = moved

    def _off(self) -> timedelta:
        return timedelta(seconds=self.random.randint(-3600, 3600))

    def _note(self, text: str, *about: Any) -> None:
        assert self.trace is not None
        self.trace.append(text % tuple(map(_in_words, about)))


def _in_words(about: Any) -> Any:
    if isinstance(about, Event):
        return f"{about.type} {about.subject}: {about.note()}"
    if isinstance(about, list) and about and isinstance(about[0], Event):
        return [f"{event.type} {event.subject} {event.envelope.id}" for event in about]
    return about
