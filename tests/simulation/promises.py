"""What must be true once nothing is left to be done: the audit's invariants, over what the services keep in memory."""

from collections import Counter
from collections.abc import Iterator

from services.inventory.reservation import State as StockState
from services.logistics.shipping import State as ParcelState
from services.orders.order import ASTRAY, Order, Status
from services.payments.charging import Ending
from services.payments.ledger import Kind
from services.payments.refunds import State as RefundState
from shared.events import Event
from shared.events.orders import OrderCancelled, OrderCompleted, OrderHeld, OrderPaid, OrderPlaced
from shared.events.payments import PaymentCaptured, PaymentFailed, PaymentRefunded, PaymentVoided
from shared.events.shipments import ShipmentCreated, TrackingPushed
from tests.simulation.bus import Letter
from tests.simulation.history import History
from tests.simulation.partners import Label

ENDED = (Status.COMPLETED, Status.CANCELLED, Status.REFUNDED)
WENT_THROUGH = (Status.PAID, Status.SHIPPED, Status.DELIVERED, Status.COMPLETED, Status.REFUNDED)
ONCE = (OrderPlaced, OrderPaid, OrderCancelled, OrderCompleted, ShipmentCreated, TrackingPushed)
ENDINGS = (PaymentCaptured, PaymentFailed, PaymentVoided)


def broken(history: History) -> list[str]:
    """Every promise that does not hold, in words."""
    found = [
        *_stock(history),
        *_said(history),
        *_letters(history),
        *_strangers(history),
        *sorted(history.broken),
        *history.card.broken,
        *history.redirect.broken,
    ]
    for order in history.bus.orders.orders.values():
        if order.placed is None:
            found.append(f"{order.id}: others speak of it, and it was never placed")
            continue
        for rule in (_is_over, _has_its_parcel, _has_its_stock, _has_its_money, _owes_nothing):
            found += [f"{order.id} is {order.status}: {what}" for what in rule(history, order)]
    return found


def _is_over(history: History, order: Order) -> Iterator[str]:
    if order.status not in ENDED:
        yield f"it is stuck, held for {[hold.reason for hold in order.open_holds]}"


def _has_its_parcel(history: History, order: Order) -> Iterator[str]:
    shipment, mine = history.bus.logistics.shipments.get(order.id), _labels(history, order)
    live = [label for label in mine if not label.withdrawn or label.collected_at]
    if order.status in WENT_THROUGH:
        if len(live) != 1 or shipment is None or shipment.state is ParcelState.CANCELLED:
            yield f"it has {len(live)} live parcels, logistics: {shipment and shipment.state}"
    elif any(label.collected_at is None for label in live):
        yield "a waybill that nobody withdrew is for no order that goes on"
    elif shipment and shipment.waybill and shipment.state is not ParcelState.CANCELLED and not shipment.has_left:
        yield f"its parcel is {shipment.state}"
    if shipment and order.status in WENT_THROUGH and shipment.waybill != (order.parcel and order.parcel.waybill):
        yield f"its waybill is {order.parcel}, at logistics {shipment.waybill}"
    for label in mine:
        if (told := sum(label.waybill in text for text in history.texts.sent)) > 1:
            yield f"its shopper was texted {told} times"


def _labels(history: History, order: Order) -> list[Label]:
    shipment = history.bus.logistics.shipments.get(order.id)
    labels = [label for carrier in (history.dhl, history.fleet) for label in carrier.labels]
    return [label for label in labels if shipment and label.reference == shipment.reference]


def _is_astray(said: Event, order: Order) -> bool:
    return isinstance(said, OrderHeld) and said.order_id == order.id and ASTRAY in said.reasons


def _has_its_stock(history: History, order: Order) -> Iterator[str]:
    assert order.placed is not None
    reservation = history.bus.inventory.reservations.get(order.id)
    holds = Counter({each.sku: 0 for each in order.placed.lines})
    for allocation in reservation.allocations if reservation else ():
        holds[allocation.sku] += allocation.quantity
    wanted = Counter[str]()
    for line in order.placed.lines:
        wanted[line.sku] += line.quantity
    if order.status in WENT_THROUGH and (reservation is None or not reservation.deducted or holds != wanted):
        yield f"it wants {wanted}, deducted are {holds}, {reservation and reservation.state}"
    if order.cancel_reason and reservation:
        parcels = [label for label in _labels(history, order) if label.collected_at]
        is_gone = any(not label.withdrawn for label in parcels)
        if reservation.state is StockState.RESERVED or (reservation.state is StockState.COMMITTED) is not is_gone:
            yield f"{len(parcels)} of its parcels have left, its stock is {reservation.state}"
        if parcels and not any(_is_astray(said, order) for said in history.bus.said):
            yield "its parcel has left all the same, and nobody is shown it"


def _has_its_money(history: History, order: Order) -> Iterator[str]:
    assert order.placed is not None
    payment = history.bus.payments.payments.get(order.id)
    entries = [entry for entry in history.bus.payments.ledger.values() if entry.order_id == order.id]
    captured = sum(entry.amount.amount for entry in entries if entry.kind is Kind.CAPTURED)
    stayed = [entry for entry in entries if (order.id, entry.refund_id) not in history.bus.payments.returned]
    refunded = sum(entry.amount.amount for entry in stayed if entry.kind is Kind.REFUNDED)
    if not order.intercepted or order.released_at:  # payments was never told of what nobody let in
        if (order.captured, order.refunded) != (captured, refunded):
            yield f"captured and refunded are {order.captured}, {order.refunded}, in the ledger {captured}, {refunded}"
        if payment is None or (payment.ending is None and not payment.doubt):
            yield f"its charge never ended: {payment and payment.state}"
    charges = [each.charges[order.id] for each in (history.card, history.redirect) if order.id in each.charges]
    if charges and payment and not payment.doubt:
        by_hand = sum(each.amount for each in history.people.transfers if each.order_id == order.id)
        if charges[0].taken != captured - refunded + by_hand:
            yield f"the provider has {charges[0].taken} of it, the ledger says {captured - refunded}, {by_hand} went by hand"
        if charges[0].status in ("open", "held"):
            yield f"at the provider the charge is still {charges[0].status}, here it is {payment.state}"
    if payment and payment.asked_at and order.payment_voided == "the stock was set aside no longer":
        yield "its charge was called off while a person was asked about it"
    if payment and payment.ending is not Ending.CAPTURED and captured:
        yield f"the ledger has {captured}, the charge was {payment.ending}"


def _owes_nothing(history: History, order: Order) -> Iterator[str]:
    kept = order.captured - order.refunded
    refused = any(refund.failure for refund in order.refunds.values())
    disputed = any(refund.failure and refund.reference for refund in order.refunds.values())
    admitted = not order.intercepted or order.released_at
    assert order.placed is not None
    if not admitted and history.people.sent_back[order.id] > order.placed.total.amount:
        return  # a shop gave back more than it had taken, for an order that was never told to payments: nobody can say which
    if order.status is Status.CANCELLED and kept and not disputed:
        yield f"{kept} of its money are kept"
    if refused and not any(hold.reason.startswith("refund refused") for hold in order.holds):
        yield "a refund was refused and nobody was told"
    payment = history.bus.payments.payments.get(order.id)
    if payment and payment.doubt and payment.ending is not Ending.CAPTURED and not any(hold.in_doubt for hold in order.answered):
        yield f"{payment.doubt}, and nobody has seen to it"
    for refund in history.bus.payments.refunds.values():
        if refund.order_id == order.id and admitted and refund.state not in (RefundState.REFUNDED, RefundState.FAILED):
            yield f"its refund {refund.id} is {refund.state}"


def _stock(history: History) -> Iterator[str]:
    moved, kept = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
    for movement in history.bus.inventory.movements.values():
        moved[movement.sku, movement.location, "on hand"] += movement.on_hand_change
        moved[movement.sku, movement.location, "reserved"] += movement.reserved_change
    allocated = Counter[tuple[str, str, str]]()
    for reservation in history.bus.inventory.reservations.values():
        if reservation.state is StockState.RESERVED:
            for each in reservation.allocations:
                allocated[each.sku, each.location, "reserved"] += each.quantity
    for (sku, location), shelf in history.bus.inventory.shelves.items():
        kept[sku, location, "on hand"], kept[sku, location, "reserved"] = shelf.on_hand, shelf.reserved
        if shelf.reserved != allocated[sku, location, "reserved"]:
            yield f"{shelf.reserved} of {sku} are reserved at {location}, orders hold {allocated[sku, location, 'reserved']}"
    if moved != kept:
        yield f"shelves are {kept}, movements say {moved}"


def _said(history: History) -> Iterator[str]:
    said = Counter((type(event), event.subject) for event in history.bus.said)
    for (event_class, subject), times in said.items():
        if event_class in ONCE and times > 1:
            yield f"{subject}: {event_class.type} was said {times} times"
    for order_id in sorted({subject for event_class, subject in said if event_class in ENDINGS}):
        if (times := sum(said[each, order_id] for each in ENDINGS)) > 1:
            yield f"{order_id}: its charge ended {times} times"


def _is_strange(history: History, letter: Letter) -> bool:
    """A system speaks of money that it had not taken, or under a name that such a one has used up."""
    order = history.bus.orders.orders.get(letter.event.subject)
    theirs = order and order.placed and order.placed.collected_by == letter.event.envelope.source
    used_up = letter.service == "payments" and letter.event.subject in {id for id, _ in history.people.strangers}
    return isinstance(letter.event, PaymentRefunded) and (used_up or not theirs)


def _letters(history: History) -> Iterator[str]:
    for letter in history.bus.buried:
        if not _is_strange(history, letter):
            yield f"{letter.event.subject}: {letter.service} could not handle {letter.event.type}: {letter.error!r}"


def _strangers(history: History) -> Iterator[str]:
    for order_id, source in history.people.strangers:
        order = history.bus.orders.orders.get(order_id)
        letters = [each for each in history.bus.buried if each.service == "orders" and each.event.envelope.source == source]
        held = [hold for hold in order.holds if hold.reason.startswith(source)] if order else []
        if not letters and not held:
            yield f"{order_id}: {source} spoke of money it never had, and nobody is shown it"
