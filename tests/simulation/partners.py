"""Partners as they really are: they may be late, answer twice, never, or with an error, and what they did they did."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.logistics import shipping
from services.logistics.shipping import Booked, Collected, NotBooked, Shipment, Told, Withdrawn
from services.logistics.tracking import Scan, Status
from services.payments import facts, refunds
from services.payments.charging import Errand, Payment
from services.payments.facts import Captured, Closed, Held, Opened
from services.payments.refunds import Refund, RefundKey
from shared.money import Money
from shared.partners import PartnerUnknown
from tests.simulation.bus import MOMENT, Bus

SESSION_LASTS = timedelta(hours=24)
KEYS_LAST = timedelta(hours=24)


@dataclass
class Charge:
    """What the provider knows of a payment: new, open, held, paid, declined or closed."""

    id: str
    order_id: str
    amount: Money
    fate: str
    opened_at: datetime
    status: str = "open"
    sent_back: dict[str, int] = field(default_factory=dict)
    sent_back_at: dict[str, datetime] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    came_back: set[str] = field(default_factory=set)

    @property
    def taken(self) -> int:
        """Minor units that left the shopper's account and have not come back."""
        paid = self.amount.amount - (self.fate == "takes too little") if self.status == "paid" else 0
        return paid - sum(self.sent_back.values())


class Provider:
    """Takes and returns money: at once, after a review, later, or on its own page. The same payment is charged once."""

    at_once = False

    def __init__(self, name: str, bus: Bus, fates: tuple[str, ...], is_approved: Callable[[str, str], bool]) -> None:
        self.name = name
        self.bus = bus
        self.fates = fates
        self.is_approved = is_approved
        self.charges: dict[str, Charge] = {}
        self.webhooks: list[tuple[str, Payment, facts.Answer]] = []
        self.returns: list[tuple[RefundKey, refunds.Returned]] = []
        self.broken: list[str] = []
        self._payments: dict[str, Payment] = {}

    async def carry_out(self, errand: Errand, payment: Payment) -> facts.Answer:
        """Whatever is asked, the answer says how the charge stands; if it arrives."""
        self._may_be_lost("the way there")
        charge = self.charges.get(payment.order_id)
        if charge is None:
            charge = self._open(payment)
        elif errand is Errand.CHARGE and self.bus.now - charge.opened_at > KEYS_LAST:
            self.broken.append(f"{payment.order_id}: it is charged a second time, its key was forgotten")
        elif errand is Errand.CAPTURE and charge.status == "held":
            if not self.is_approved(payment.order_id, "elevated_risk_level"):
                self.broken.append(f"{payment.order_id}: held money was taken before a person had looked at the hold")
            self.becomes(charge, "paid")
        elif errand is Errand.VOID and charge.status in ("held", "open") and charge.fate != "decides later":
            self.becomes(charge, "closed")
        self.bus.note("%s: %s of %s, it is %s", self.name, errand, payment.order_id, charge.status)
        self._may_be_lost("the way back")
        return self._answer(charge)

    async def refund(self, payment: Payment, refund: Refund) -> refunds.Answer:
        """Once a refund's id, and never more than was taken."""
        self._may_be_lost("the way there")
        charge = self.charges[payment.order_id]
        if self.bus.now - charge.sent_back_at.get(refund.id, self.bus.now) > KEYS_LAST:
            self.broken.append(f"{payment.order_id}: {refund.id} is sent a second time, its key was forgotten")
        if refund.id not in charge.sent_back_at:
            if refund.amount.amount > charge.taken:
                return refunds.Refused("charge_already_refunded")
            if charge.fate == "takes, keeps for now" and not charge.refused:
                charge.refused.add(refund.id)
            if charge.fate == "takes, keeps" or refund.id in charge.refused:
                return refunds.Refused("charge_disputed")
            charge.sent_back[refund.id] = refund.amount.amount
            charge.sent_back_at[refund.id] = self.bus.now
        self._may_be_lost("the way back")
        return refunds.Sent(f"re_{refund.id}")

    def goes_on(self) -> bool:
        """Time passes at the provider: shoppers pay or leave, banks decide, sessions and holds lapse."""
        if self._sends_back():
            return True
        undecided = [charge for charge in self.charges.values() if charge.status in ("open", "held")]
        if not undecided:
            return False
        charge = self.bus.random.choice(undecided)
        if charge.status == "held":
            if self.bus.now - charge.opened_at < 7 * SESSION_LASTS:
                return False
            self.becomes(charge, "closed")
        elif charge.fate == "leaves":
            if self.bus.now - charge.opened_at < SESSION_LASTS:
                return False
            self.becomes(charge, "closed")
        else:
            self.becomes(charge, "declined" if charge.fate == "fails" else "paid")
        return True

    def _sends_back(self) -> bool:
        """A bank returns the first refund of a charge that fares so, days or moments later; that is always told."""
        for charge in self.charges.values():
            if charge.fate == "takes, returns" and charge.sent_back and not charge.came_back:
                id = next(iter(charge.sent_back))
                del charge.sent_back[id]
                charge.came_back.add(id)
                self.returns.append(((charge.order_id, id), refunds.Returned(f"re_{id}", "expired_or_canceled_card")))
                self.bus.note("%s: refund %s of %s came back", self.name, id, charge.order_id)
                return True
        return False

    def becomes(self, charge: Charge, status: str) -> None:
        """What is decided is told by webhook, mostly."""
        charge.status = status
        self.bus.note("%s: the charge of %s is %s", self.name, charge.order_id, status)
        if self.name == "redirect" and not self.bus.strikes(0.2):
            self.webhooks.append((f"evt_{self.bus.draw()}", self._payments[charge.order_id], self._answer(charge)))

    def _open(self, payment: Payment) -> Charge:
        if (concerns := payment.terms.concerns) and not self.is_approved(payment.order_id, "; ".join(concerns)):
            self.broken.append(f"{payment.order_id}: it was charged before a person had looked at what worries us")
        fate = self.bus.random.choice(self.fates)
        charge = Charge(f"pi_{self.bus.draw()}", payment.order_id, payment.terms.amount, fate, self.bus.now)
        self.charges[payment.order_id], self._payments[payment.order_id] = charge, payment
        if fate.startswith("takes"):
            self.becomes(charge, "paid")
        elif fate in ("declines", "holds"):
            self.becomes(charge, {"declines": "declined", "holds": "held"}[fate])
        return charge

    def _answer(self, charge: Charge) -> facts.Answer:
        match charge.status:
            case "paid":
                return Captured(charge.id, Money(amount=charge.taken + sum(charge.sent_back.values()), currency="CNY"))
            case "declined":
                return facts.Refused("generic_decline")
            case "held":
                return Held(charge.id, "elevated_risk_level")
            case "closed":
                return Closed()
            case _:
                return Opened(charge.id, "https://pay.example/" if self.name == "redirect" else None)

    def _may_be_lost(self, where: str) -> None:
        if self.bus.strikes(0.15):
            self.bus.note("%s: lost on %s", self.name, where)
            raise PartnerUnknown(f"lost on {where}")


@dataclass
class Label:
    """A waybill, and where its parcel is."""

    waybill: str
    reference: str
    withdrawn: bool = False
    collected_at: datetime | None = None
    failures: int = 0
    waits_for_a_person: bool = False
    delivered: bool = False


class Carrier:
    """Books the same reference twice when it is asked twice, like DHL; our own fleet is asked by nobody else."""

    def __init__(self, bus: Bus, is_called_off: Callable[[str], bool], *, is_ours: bool) -> None:
        self.bus = bus
        self.is_called_off = is_called_off
        self.is_ours = is_ours
        self.off = timedelta()
        self.labels: list[Label] = []
        self.refusals: dict[str, int] = {}
        self.scans: list[Scan] = []

    async def book(self, shipment: Shipment, *, again: bool) -> shipping.Answer:
        """As carriers.dhl does: what may have been booked is looked for first."""
        if self.is_ours:
            return self._made(f"OF{shipment.serial}", shipment)
        if again and not isinstance(found := await self.find(shipment), NotBooked):
            return found
        if self._is_lost():
            return shipping.Unknown()
        left = self.refusals.setdefault(shipment.reference, self.bus.random.choice((0, 0, 0, 0, 1, 2)))
        if left:
            self.refusals[shipment.reference] = left - 1
            return shipping.Refused("DHL: no such place")
        booked = self._made(f"D{self.bus.draw()}", shipment)
        return shipping.Unknown() if self._is_lost() else booked

    async def find(self, shipment: Shipment) -> shipping.Answer:
        if self._is_lost():
            return shipping.Unknown()
        found = next((label for label in self.labels if label.reference == shipment.reference), None)
        return Booked(found.waybill) if found else NotBooked()

    async def withdraw(self, shipment: Shipment) -> shipping.Answer:
        if self._is_lost():
            return shipping.Unknown()
        label = next(label for label in self.labels if label.waybill == shipment.waybill)
        if label.collected_at and not self.is_ours:
            return Collected(label.collected_at)
        label.withdrawn = True
        return shipping.Unknown() if self._is_lost() else Withdrawn()

    def goes_on(self) -> bool:
        """A parcel is collected, not handed over, or handed over; scanners tell, by the carrier's own clock."""
        moving = [label for label in self.labels if self._moves(label)]
        if not moving:
            return False
        self.bus.now += MOMENT
        label, at = self.bus.random.choice(moving), self.bus.now + self.off
        if label.collected_at is None:
            label.collected_at = at
            scan = Scan(label.waybill, at, Status.TRANSIT)
        elif label.failures < 3 and self.bus.random.random() < 0.2:
            label.failures += 1
            label.waits_for_a_person = self.bus.random.random() < 0.5
            scan = Scan(label.waybill, at, Status.FAILURE, "nobody at home")
        else:
            label.delivered = True
            scan = Scan(label.waybill, at, Status.DELIVERED)
        self.bus.note("the parcel %s: %s", label.waybill, scan.status)
        self.scans.append(scan)
        return True

    def try_again(self, reference: str) -> None:
        """A person has seen to what stood in a parcel's way."""
        for label in self.labels:
            label.waits_for_a_person &= label.reference != reference

    def _moves(self, label: Label) -> bool:
        if label.delivered or label.waits_for_a_person:
            return False
        # once nothing goes wrong any more, nobody hands over what was called off: its waybill is to be withdrawn
        stays = label.withdrawn or (not self.bus.troubled and self.is_called_off(label.reference))
        return bool(label.collected_at) or not stays

    def _made(self, waybill: str, shipment: Shipment) -> Booked:
        self.labels.append(Label(waybill, shipment.reference))
        return Booked(waybill)

    def _is_lost(self) -> bool:
        return not self.is_ours and self.bus.strikes(0.15)


class Texts:
    """Sends the same message twice when it is asked twice."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.sent: list[str] = []

    def is_offered(self) -> bool:
        return True

    async def send(self, phone: str, text: str) -> shipping.Answer:
        if self.bus.strikes(0.15):
            return shipping.Unknown()
        self.sent.append(text)
        return shipping.Unknown() if self.bus.strikes(0.15) else Told("sms")

    async def find(self, phone: str, tracking_number: str) -> shipping.Answer | None:
        if self.bus.strikes(0.15):
            return shipping.Unknown()
        return Told("sms") if any(tracking_number in text for text in self.sent) else None
