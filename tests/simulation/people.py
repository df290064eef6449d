"""Shoppers, shops and operators: they order, call off, release, refund and repeat themselves at random moments."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from services.inventory import shelf
from services.inventory import store as inventory_store
from services.orders import lifecycle, refunding
from services.orders import store as orders_store
from services.orders.order import Order, Status
from shared.events import Event
from shared.events.fields import Address, Customer, Line, OrderedLine, PaymentChoice, PaymentReceipt
from shared.events.orders import OrderPaid, OrderSubmitted, RefundRequested
from shared.events.payments import PaymentRefunded
from shared.money import Money
from shared.problems import Conflict
from tests.simulation.bus import Bus
from tests.simulation.memory.tables import MemoryTx

PRICES = {"A": 29900, "B": 500, "FREE": 0, "DEAR": 60_000}
"""In fen. Two of the dear ones are looked at before they are charged."""

SHOPS = ("/shops/a", "/shops/b")
CHANNELS = ("card", "card", "redirect", "invoice", "bitcoin")
RETURN_WINDOW = timedelta(hours=1)

_PLACES = [
    Address(name="李雷", country=country, city="X", line1="1", postcode=postcode)
    for country, postcode in (("CN", "310000"), ("CN", "200000"), ("DE", "10115"), ("AQ", ""))
]
_CUSTOMERS = [Customer(name="李雷", phone="+8613800000000"), Customer(name="韩梅梅")]
_CHOICES = {channel: PaymentChoice(channel=channel, token="tok") for channel in CHANNELS}
_RECEIPT = PaymentReceipt(channel="alipay", reference="2026112422001")
_LINES = {
    (sku, quantity): Line(sku=sku, quantity=quantity, unit_price=price)
    for sku, price in (*PRICES.items(), ("X", 100))
    for quantity in (1, 2, 6)
}


def an_order(random: Random, order_id: str) -> Event:
    """A wish or a paid order; now and then odd: too many, unknown, wrongly added up, or to where nobody goes."""
    keys = [(random.choice(("A", "A", "A", "B", "FREE", "DEAR")), random.choice((1, 1, 1, 1, 2, 6)))]
    if random.random() < 0.3:
        keys.append(("B", 1))
    if random.random() < 0.03:
        keys.append(("X", 1))
    lines = tuple(_LINES[key] for key in keys)
    customer, place = random.choice(_CUSTOMERS), random.choice(_PLACES if random.random() < 0.2 else _PLACES[:2])
    if random.random() < 0.7:
        choice = _CHOICES[random.choice(CHANNELS)] if random.random() < 0.3 else _CHOICES[random.choice(("card", "redirect"))]
        return OrderSubmitted.model_construct(
            order_id=order_id,
            currency="CNY",
            customer=customer,
            ship_to=place,
            lines=tuple(OrderedLine.model_construct(sku=line.sku, quantity=line.quantity) for line in lines),
            payment=choice,
        )
    total = sum(line.amount for line in lines) + (random.random() < 0.05)
    return OrderPaid.model_construct(
        order_id=order_id, currency="CNY", total=total, lines=lines, customer=customer, ship_to=place, payment=_RECEIPT
    )


class Transfer(NamedTuple):
    """Money that a clerk gave back by a way of his own, in fen."""

    order_id: str
    reference: str
    amount: int
    is_doomed: bool = False


class People:
    """Everybody who decides something, each with a random mind."""

    def __init__(
        self, bus: Bus, let_try_again: Callable[[str], None], sent_by_provider: Callable[[str], Mapping[str, int]]
    ) -> None:
        self.bus = bus
        self.let_try_again = let_try_again
        self.sent_by_provider = sent_by_provider
        orders = bus.random.choice((1, 1, 2, 3))
        self.to_come = [(an_order(bus.random, f"T-{n}"), bus.random.choice(SHOPS)) for n in range(orders)]
        if bus.random.random() < 0.05:  # another shop uses the same id, or a shop says it once more
            self.to_come.append((an_order(bus.random, "T-0"), bus.random.choice(SHOPS)))
        self.hasty = bus.random.random() < 0.1  # shops change their minds at once
        self.bad_day = False  # and so do shoppers, while the provider keeps the money
        self.decided: set[str] = set()
        self.releases: dict[str, int] = {}
        self.given_back: set[str] = set()
        self.asked_again: Counter[str] = Counter()
        self.transfers: list[Transfer] = []
        self.sold: list[tuple[OrderPaid, str]] = []
        self.sent_back: Counter[str] = Counter()
        self.strangers: list[tuple[str, str]] = []

    def order(self) -> bool:
        """The next order arrives, sometimes told twice."""
        if not self.to_come:
            return False
        event, source = self.bus.random.take(self.to_come)
        self.bus.hear(event, source, self.bus.now)
        if self.bus.strikes(0.1):
            self.bus.hear(event, source, self.bus.now)
        if isinstance(event, OrderPaid) and event.total > 1 and (self.hasty or self.bus.random.random() < 0.1):
            self.sold.append((event, source))
            if self.hasty:
                self.give_back_unasked()
        return True

    def act(self) -> None:
        """Somebody does something, whether it is wise or not."""
        order_id = f"T-{self.bus.random.randrange(3)}"
        match self.bus.random.choice(("order", "order", "cancel", "release", "release", "refund", "stock", "shop")):
            case "order":
                self.order()
            case "cancel":
                self.decide(order_id, lambda order, now: lifecycle.cancel(order, "changed my mind", now))
            case "release":
                self.release(order_id)
            case "refund":
                refund_id = f"R-{self.bus.draw()}"
                amount = self.bus.random.choice((None, 1, 100, 29900))
                order = self.bus.orders.orders.get(order_id)
                if order and order.captured and self.bus.random.random() < 0.5:
                    self.give_by_hand(order)
                elif order and order.cancel_reason:
                    self.ask_again(order)
                else:
                    self.decide(order_id, lambda order, now: refunding.refund(order, refund_id, amount, "scratched"))
            case "stock":
                self.restock()
            case "shop":
                self.give_back()
                self.give_back_unasked()
                self.hear_from_the_bank()

    def regret(self) -> bool:
        """On a bad day every other shopper calls off what is just paid."""
        undecided = [order.id for order in self.bus.orders.orders.values() if order.status is Status.PAID] if self.bad_day else []
        for order_id in undecided:
            if order_id not in self.decided:
                self.decided.add(order_id)
                if self.bus.random.random() < 0.5:
                    return self.decide(order_id, lambda order, now: lifecycle.cancel(order, "regretted it", now))
        return False

    def go_on(self) -> bool:
        """Somebody does what is left to do; False when there is nothing any more."""
        return self.look_there_first() or self.hear_from_the_bank() or self.answer_holds() or self.give_back()

    def answer_holds(self) -> bool:
        """An operator releases what is held, but not for ever; what nobody can mend is called off."""
        for order in list(self.bus.orders.orders.values()):
            if order.placed and order.status is Status.HELD:
                tries = self.releases.get(order.id, 0)
                if tries < 3 and self.release(order.id):
                    return True
                if self.decide(order.id, lambda order, now: lifecycle.cancel(order, "no way", now)) or self.release(order.id):
                    return True
                by_hand_first = self.bus.random.random() < 0.5
                if (by_hand_first and self.give_by_hand(order)) or self.ask_again(order) or self.give_by_hand(order):
                    return True
        return False

    def ask_again(self, order: Order) -> bool:
        """An operator has the refused money of a cancelled order asked for again, but not for ever. Its shop, if it has
        not done yet what was refused, is told not to."""
        refused = {id for id, refund in order.refunds.items() if refund.is_refused}
        if self.asked_again[order.id] == 3 or refused & self.given_back:
            return False
        refund_id = f"R-{self.bus.draw()}"
        done = self.decide(order.id, lambda order, now: refunding.refund(order, refund_id, None, "again"))
        if done:
            self.asked_again[order.id] += 1
            self.given_back |= refused
        return done

    def look_there_first(self) -> bool:
        """A clerk finds in the provider's books what it sent without a word, and enters it."""
        for order in list(self.bus.orders.orders.values()):
            sent = self.sent_by_provider(order.id)
            for id, refund in order.refunds.items():
                if refund.is_refused and id in sent and not refunding.refund_by(order, f"re_{id}"):
                    return self._say_by_hand(Transfer(order.id, f"re_{id}", sent[id]))
        return False

    def give_by_hand(self, order: Order) -> bool:
        """A clerk transfers what is left or a part of it, unless the provider sent it after all, and says so, maybe again."""
        if self.look_there_first():
            return True
        if (before := [each for each in self.transfers if each.order_id == order.id]) and self.bus.random.random() < 0.5:
            self._say_by_hand(self.bus.random.choice(before))
        left = order.captured - order.refund_asked
        amount = min(self.bus.random.choice((1, 100, left)), left) + self.bus.strikes(0.1)
        transfer = Transfer(order.id, f"bank-{self.bus.draw()}", amount, is_doomed=self.bus.random.random() < 0.25)
        done = self._say_by_hand(transfer)
        if done:
            self.transfers.append(transfer)
        return done

    def hear_from_the_bank(self) -> bool:
        """One transfer in four comes back, once it is in the books; a clerk says so, maybe again."""
        for transfer in [each for each in self.transfers if each.is_doomed]:
            order = self.bus.orders.orders[transfer.order_id]
            refund_id = refunding.refund_by(order, transfer.reference)
            if refund_id is not None and self._take_back(transfer.order_id, refund_id):
                self.transfers.remove(transfer)
                if self.bus.strikes(0.3):
                    self._take_back(transfer.order_id, refund_id)
                return True
        return False

    def _take_back(self, order_id: str, refund_id: str) -> bool:
        return self.decide(order_id, lambda order, now: refunding.take_back(order, refund_id, "no such account", "a clerk"))

    def _say_by_hand(self, transfer: Transfer) -> bool:
        """As services/orders/api.py does."""
        new_id = f"R-{self.bus.draw()}"

        def decide(order: Order, now: datetime) -> Order:
            refund_id = refunding.refund_by(order, transfer.reference) or new_id
            return refunding.refund(order, refund_id, transfer.amount, "card closed", "a clerk", transfer.reference)

        return self.decide(transfer.order_id, decide)

    def release(self, order_id: str) -> bool:
        """Send a held order on its way."""
        done = self.decide(order_id, lambda order, now: lifecycle.release(order, "an operator", now))
        if done:
            self.let_try_again(order_id)
            self.releases[order_id] = self.releases.get(order_id, 0) + 1
        return done

    def decide(self, order_id: str, decision: Callable[[Order, datetime], Order]) -> bool:
        """As services/orders/api.py does; what is refused changes nothing."""

        async def change(tx: MemoryTx) -> bool:
            order = await orders_store.lock_one(tx, order_id)
            if order is None:
                return False
            after = decision(order, tx.now)
            await orders_store.save(tx, [after], RETURN_WINDOW)
            tx.announce(lifecycle.follows(order, after))
            return after is not order

        try:
            return self.bus.transact("orders", change)
        except Conflict:
            return False

    def restock(self) -> None:
        """A lorry has come, or pieces are broken; as services/inventory/api.py does."""
        sku, quantity = self.bus.random.choice(("A", "B")), self.bus.random.choice((-1, 1, 3))

        async def adjust(tx: MemoryTx) -> None:
            shelves = await inventory_store.lock_shelves(tx, [sku])
            movement = shelf.adjust(shelves, sku, "main", quantity, "counted")
            await inventory_store.save(tx, movements=[movement])
            tx.announce(shelf.adjusted(shelves, movement))

        try:
            self.bus.transact("inventory", adjust)
        except Conflict:
            self.bus.note("they are promised to orders")

    def give_back_unasked(self) -> None:
        """A shop that took the money gives some or all of it back by its own decision, maybe before its order is known
        here; or another says so, and never had it."""
        if not self.sold:
            return
        order, shop = self.sold.pop()
        money = Money(amount=self.bus.random.choice((1, order.total)), currency="CNY")
        told = PaymentRefunded(order_id=order.order_id, refund_id=f"S-{self.bus.draw()}", amount=money, reference="shop")
        if self.bus.random.random() < 0.3:
            self.strangers.append((order.order_id, "/shops/c"))
            if self.bus.random.random() < 0.5:  # on purpose, under the name that our own will have
                told = told.model_copy(update={"refund_id": refunding.refund_of_cancellation(order.order_id)})
            self.bus.hear(told, "/shops/c", self.bus.now)
        else:
            self.sent_back[order.order_id] += money.amount
            if self.hasty and money.amount < order.total:  # under the name that our own had once
                told = told.model_copy(update={"refund_id": f"{order.order_id}:cancel"})
            self.bus.hear(told, shop, self.bus.now)

    def give_back(self) -> bool:
        """A shop does what it was asked for and says so, sometimes twice."""
        for asked in self.bus.said:
            if isinstance(asked, RefundRequested) and asked.collected_by and asked.refund_id not in self.given_back:
                self.given_back.add(asked.refund_id)
                self.sent_back[asked.order_id] += asked.amount.amount
                told = PaymentRefunded(
                    order_id=asked.order_id, refund_id=asked.refund_id, amount=asked.amount, reference=f"shop-{asked.refund_id}"
                )
                self.bus.hear(told, asked.collected_by, self.bus.now)
                if self.bus.strikes(0.3):
                    self.bus.hear(told, asked.collected_by, self.bus.now)
                return True
        return False
