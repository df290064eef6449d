"""Which orders a person must see before anything is done for them."""

from collections import Counter
from collections.abc import Collection, Sequence

from shared.events.fields import Line, OrderedLine
from shared.events.orders import OrderPaid


def suspicions(lines: Sequence[OrderedLine], review_quantity: int) -> list[str]:
    """What is odd about any order: more pieces of one article than shoppers buy."""
    pieces: Counter[str] = Counter()
    for line in lines:
        pieces[line.sku] += line.quantity
    return [f"{count} × {sku}: more than {review_quantity}" for sku, count in pieces.items() if count > review_quantity]


def suspicions_of_paid(order: OrderPaid, known_skus: Collection[str], review_quantity: int) -> list[str]:
    """What is odd about an order that another system says is paid: its sum, or articles we do not know."""
    found = suspicions(order.lines, review_quantity)
    if order.total != (total := sum_of(order.lines)):
        found.append(f"its total of {order.total} is not the sum of its lines, {total}")
    if unknown := sorted({line.sku for line in order.lines} - set(known_skus)):
        found.append(f"unknown SKU: {', '.join(unknown)}")
    return found


def sum_of(lines: Sequence[Line]) -> int:
    """Minor units of all lines."""
    return sum(line.amount for line in lines)
