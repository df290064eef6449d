"""Money that goes back, as orders sees it: who may ask for how much of it, and what a cancelled order owes."""

from itertools import chain, count
from uuid import NAMESPACE_OID, uuid5

from services.orders.facts import GIVEN_BACK_UNASKED, ORDER_CANCELLED, Claim, Hold, Refund
from services.orders.order import Order
from shared.money import Money
from shared.problems import Conflict, NotFound


def refund(
    order: Order, refund_id: str, amount: int | None, reason: str, by: str | None = None, by_hand: str | None = None
) -> Order:
    """Give back a part, or without an amount all that is left. What has not left yet is cancelled instead; of what is
    cancelled, only what was refused is asked for again. `by_hand`: it has gone already, by the transfer of this reference."""
    if known := order.refunds.get(refund_id):
        if by_hand and amount != known.amount:
            what = f"{by_hand} is in the books already, as {known.amount} minor units of order {order.id}"
            raise Conflict(what, order_status=order.status)
        return order
    if by_hand:
        _check_by_hand(order)
    left = order.captured - order.refund_asked
    wanted = left if amount is None else amount
    if order.cancel_reason and not (order.is_refund_refused and left > 0):
        paid = "what was paid is refunded already, or asked for" if order.captured else "nothing was paid"
        raise Conflict(f"order {order.id} is cancelled: {paid}", order_status=order.status)
    if left <= 0:
        why = "all that was paid is refunded already, or asked for" if order.captured else "nothing is paid yet"
        raise Conflict(f"order {order.id} has nothing to refund: {why}", refundable=0)
    if not 0 < wanted <= left:
        raise Conflict(f"order {order.id} can be refunded {left} minor units, not {wanted}", refundable=left)
    if wanted == left and not order.has_parcel and not order.cancel_reason:
        raise Conflict(f"order {order.id} has not left: cancel it, and all of it is refunded", order_status=order.status)
    owed = Refund(amount=wanted, reason=reason, asked_by=by, by_hand=by_hand)
    return order.but(refunds={**order.refunds, refund_id: owed})


def _check_by_hand(order: Order) -> None:
    """While a refund is under way nobody knows whether it is the one that is spoken of. Raises Conflict."""
    if order.placed and order.placed.collected_by:
        who = f"{order.placed.collected_by} took the money, and says itself what it gave back"
        raise Conflict(f"order {order.id}: {who}", order_status=order.status)
    if any(refund.is_owed for refund in order.refunds.values()):
        raise Conflict(f"order {order.id}: a refund is under way; wait for what becomes of it", order_status=order.status)


def take_back(order: Order, refund_id: str, reason: str, by: str) -> Order:
    """The bank has returned what a person gave back by hand. Said twice is once; what becomes of it payments says. Raises
    NotFound, and Conflict for what did not go by hand, or has not gone."""
    known = order.refunds.get(refund_id)
    if known is None:
        raise NotFound(f"order {order.id} has no refund {refund_id}")
    if known.returned:
        return order
    if objection := _why_not_returned(known):
        raise Conflict(f"refund {refund_id} of order {order.id} {objection}", order_status=order.status)
    returned = known.model_copy(update={"returned": reason, "returned_by": by})
    return order.but(refunds={**order.refunds, refund_id: returned})


def _why_not_returned(refund: Refund) -> str | None:
    if refund.by_hand is None:
        return "was not given back by hand: who sent it says itself what becomes of it"
    if refund.failure:
        return f"counts as not gone already: {refund.failure}"
    return "is under way: wait until it is in the books" if refund.reference is None else None


def refund_by(order: Order, reference: str) -> str | None:
    """The id of the refund that went under this reference, by hand or by the provider; None when no such one is known."""
    return next(
        (id for id, known in order.refunds.items() if not known.failure and reference in (known.reference, known.by_hand)), None
    )


def settle(order: Order) -> Order:
    """What follows for the money. Once all of it went back before there was a parcel, there will be none; a cancelled
    order owes back whatever was captured, also what is captured after."""
    order = _count_claims(order)
    if not order.cancel_reason and not order.has_parcel and 0 < order.captured <= order.refunded:
        order = order.but(given_back_first=True)
    if order.cancel_reason is None:
        return order
    left = order.captured - order.refund_asked
    if left <= 0 or any(refund.is_of_cancellation for refund in order.refunds.values()):
        return order
    return order.but(refunds={**order.refunds, _id_of_cancellation(order): Refund(amount=left, reason=ORDER_CANCELLED)})


def refund_of_cancellation(order_id: str) -> str:
    """What the refund that a cancelled order owes is called: as nobody calls one of theirs by chance. Under `ORDER:cancel`, as it
    was, a shop's own of another sum could meet it on its way, and neither was entered."""
    return str(uuid5(NAMESPACE_OID, f"{order_id}:cancel"))


def _id_of_cancellation(order: Order) -> str:
    """Who takes the name on purpose does not keep the money."""
    name = refund_of_cancellation(order.id)
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(name for name in names if name not in order.refunds)


def _count_claims(order: Order) -> Order:
    """The word of who took the money counts; anybody else's, heard before that was known, is shown to a person."""
    placed = order.placed
    for claim in order.claims if placed else ():
        assert placed is not None
        if claim.source == placed.collected_by:
            order = _count(order, claim, placed.total.currency)
        else:
            reason = f"{claim.source} says that it gave back {claim.amount}, and it had not taken the money"
            order = order.with_hold(Hold(reason=reason, at=claim.at))
    return order


def _count(order: Order, claim: Claim, currency: str) -> Order:
    """More than there is does not count, nor another sum than was asked for: payments says what becomes of that."""
    asked = order.refunds.get(claim.refund_id, GIVEN_BACK_UNASKED)
    sum_asked = asked.amount or claim.amount.amount
    left = order.captured - order.refunded
    if asked.reference is not None or claim.amount != Money(amount=sum_asked, currency=currency):
        return order
    if not asked.failure and sum_asked > left:
        return order
    sent = asked.model_copy(update={"amount": sum_asked, "reference": claim.reference})
    return order.but(refunds={**order.refunds, claim.refund_id: sent})
