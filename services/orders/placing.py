"""How a wish becomes an order: priced by our own price list, never by the one who asks."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

from services.orders.interception import sum_of
from shared.events.fields import SOME_IN_JSON, Address, Currency, Customer, Line, OrderedLine, PaymentChoice, Some
from shared.events.orders import OrderPaid, OrderPlaced, OrderSubmitted
from shared.money import MOST, Money

PriceList = Mapping[str, Money]
"""What each article on sale costs, by SKU."""


class AskedLine(OrderedLine, extra="forbid"):
    """An article and how many of it."""


class AskedCustomer(Customer, extra="forbid"):
    """Who buys."""


class AskedAddress(Address, extra="forbid"):
    """Where the parcel is to go."""


class AskedPayment(PaymentChoice, extra="forbid"):
    """How it is to be paid."""


class PlaceOrder(BaseModel):
    """An order as a shopper's client asks for it: no prices, no card number. What is misspelt is refused here, and not in
    events, where it may be of a version to come."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: Currency
    customer: AskedCustomer
    ship_to: AskedAddress
    lines: Annotated[tuple[AskedLine, ...], Some, SOME_IN_JSON]
    payment: AskedPayment


WhyNot = Literal["unknown_sku", "currency_mismatch", "total_too_large"]


class CannotPrice(ValueError):
    """The order cannot be priced; `line` is the index of the offending one, if it is one, `reason` as in order.rejected."""

    def __init__(self, reason: WhyNot, line: int | None, detail: str) -> None:
        super().__init__(detail)
        self.reason: WhyNot = reason
        self.line = line
        self.detail = detail


def price(lines: Sequence[OrderedLine], currency: str, prices: PriceList) -> tuple[Line, ...]:
    """The lines at our prices. Raises CannotPrice for the first that has none in the order's currency."""
    priced = []
    for index, line in enumerate(lines):
        cost = prices.get(line.sku)
        if cost is None:
            raise CannotPrice("unknown_sku", index, f"line {index}: there is no SKU {line.sku} on sale")
        if cost.currency != currency:
            raise CannotPrice("currency_mismatch", index, f"line {index}: {line.sku} is sold in {cost.currency}, not {currency}")
        priced.append(Line(sku=line.sku, quantity=line.quantity, unit_price=cost.amount))
    return tuple(priced)


def placed(order_id: str, source: str, wish: PlaceOrder | OrderSubmitted, prices: PriceList) -> OrderPlaced:
    """The priced order. Raises CannotPrice."""
    lines = price(wish.lines, wish.currency, prices)
    if (total := sum_of(lines)) > MOST:
        raise CannotPrice("total_too_large", None, f"a total of {total} is more than an amount may be, {MOST} minor units")
    return OrderPlaced(
        order_id=order_id,
        source=source,
        total=Money(amount=total, currency=wish.currency),
        lines=lines,
        customer=wish.customer,
        ship_to=wish.ship_to,
        payment=wish.payment,
    )


def collected(order: OrderPaid, source: str) -> OrderPlaced:
    """An order that another system sold and collected the money for, at its prices."""
    return OrderPlaced(
        order_id=order.order_id,
        source=source,
        total=Money(amount=order.total, currency=order.currency),
        lines=order.lines,
        customer=order.customer,
        ship_to=order.ship_to,
        payment=PaymentChoice(channel=order.payment.channel),
        collected_by=source,
        receipt=order.payment,
    )
