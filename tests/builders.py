"""Builders that say only what matters to a test."""

import zlib
from typing import Any

from shared.events.fields import Address, Customer, Line, PaymentChoice, PaymentReceipt
from shared.events.orders import OrderPaid, OrderPlaced
from shared.events.products import ProductCreated
from shared.money import Money


def an_address(**fields: Any) -> Address:
    return Address(**{"name": "李雷", "country": "CN", "city": "杭州市", "line1": "文三路 1 号", "postcode": "310000"} | fields)


def a_customer(**fields: Any) -> Customer:
    return Customer(**{"name": "李雷", "phone": "+8613800000000"} | fields)


def a_placed_order(
    order_id: str = "T-1",
    sku: str = "HP-1001",
    quantity: int = 1,
    unit_price: int = 29900,
    channel: str = "invoice",
    token: str | None = None,
    **fields: Any,
) -> OrderPlaced:
    """One line at 299.00 CNY, on account, unless said."""
    line = Line(sku=sku, quantity=quantity, unit_price=unit_price)
    told = {
        "order_id": order_id,
        "source": "/orderbus/orders",
        "total": Money(amount=line.amount, currency="CNY"),
        "lines": (line,),
        "customer": a_customer(),
        "ship_to": an_address(),
        "payment": PaymentChoice(channel=channel, token=token),
    }
    return OrderPlaced(**told | fields)


def a_paid_order(
    order_id: str = "T-1", sku: str = "HP-1001", quantity: int = 1, total: int | None = None, **fields: Any
) -> OrderPaid:
    """What a shop publishes when it has taken 299.00 CNY for each piece, unless said."""
    told = {
        "order_id": order_id,
        "currency": "CNY",
        "total": 29900 * quantity if total is None else total,
        "lines": (Line(sku=sku, quantity=quantity, unit_price=29900),),
        "customer": a_customer(),
        "ship_to": an_address(),
        "payment": PaymentReceipt(channel="alipay", reference="2026112422001"),
    }
    return OrderPaid(**told | fields)


def a_product_created(sku: str = "HP-1001", price: int = 29900, revision: int = 1) -> ProductCreated:
    return ProductCreated(
        product_id=zlib.crc32(sku.encode()),
        sku=sku,
        name="降噪无线耳机",
        price=Money(amount=price, currency="CNY"),
        revision=revision,
    )
