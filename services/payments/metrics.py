"""What payments counts: how charges end, and the money that came and went."""

from collections import Counter as Tally
from collections.abc import Mapping, Sequence

from prometheus_client import Counter

from services.payments import refunds
from services.payments.charging import Ending, Payment, State
from services.payments.refunds import Refund, RefundKey
from shared import metrics
from shared.money import Money, to_major

endings = Counter("orderbus_payments_total", "Charges that have ended, by payment channel.", ["channel", "ending"])
reviews = Counter("orderbus_payment_reviews_total", "Charges that a person is to look at, by payment channel.", ["channel"])
captured = Counter(
    "orderbus_captured_money_total", "Money taken, in the currency's major unit, by us or by the shop.", ["currency", "by"]
)
refunded = Counter(
    "orderbus_refunded_money_total",
    "Money given back, in the currency's major unit, by us or by the shop. What came back is not taken off.",
    ["currency", "by"],
)
refund_states = Counter("orderbus_refunds_total", "Refunds that have gone, and those that were refused or came back.", ["state"])

REVIEWS = (State.REVIEW, State.HELD, State.DOUBT)

metrics.from_the_start(refund_states, refunds.State.REFUNDED, refunds.State.FAILED)


def count_charges(before: Mapping[str, Payment], after: Sequence[Payment]) -> None:
    """Count what has become of these charges in a transaction that has committed."""
    for payment in after:
        known = before[payment.order_id]
        if payment.placed is None:
            continue
        if payment.state in REVIEWS and known.state not in REVIEWS:
            reviews.labels(metrics.channel(payment.terms.channel)).inc()
        if payment.ending and not known.ending:
            endings.labels(metrics.channel(payment.terms.channel), payment.ending).inc()
            if payment.ending is Ending.CAPTURED:
                _add(captured, payment.terms.amount, payment)


def count_refunds(payments: Mapping[str, Payment], before: Mapping[RefundKey, Refund], after: Sequence[Refund]) -> None:
    """Count what has become of these refunds in a transaction that has committed."""
    ended = [refund for refund in after if (known := before.get(refund.key)) is None or known.state is not refund.state]
    for refund in ended:
        if refund.state is refunds.State.REFUNDED:
            _add(refunded, refund.amount, payments[refund.order_id])
    for state, number in Tally(refund.state for refund in ended).items():
        if state in (refunds.State.REFUNDED, refunds.State.FAILED):
            refund_states.labels(state).inc(number)


def _add(counter: Counter, amount: Money, payment: Payment) -> None:
    by = "shop" if payment.terms.collected_by else "us"
    counter.labels(amount.currency, by).inc(float(to_major(amount.amount, amount.currency)))
