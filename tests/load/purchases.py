"""What the clients of the bench buy."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from tests.load.load import Load

PRICE = 9900
CURRENCY = "CNY"

ADDRESSES = {
    "CN": {"country": "CN", "province": "浙江省", "city": "杭州市", "line1": "文三路 1 号", "postcode": "310000"},
    "DE": {"country": "DE", "province": "", "city": "Berlin", "line1": "Torstr. 1", "postcode": "10119"},
}
"""Our own fleet goes to the first, the carrier over HTTP to the other."""

TOKENS = {"invoice": None, "card": "tok_ok"}


def sku(number: int) -> str:
    """The article of this number."""
    return f"B-{number:06}"


def baskets(load: Load) -> Iterator[dict[str, Any]]:
    """The bodies of `POST /api/orders`, without end, the same for the same load. Nobody leaves a telephone number, so
    telling the shopper needs no partner."""
    chance = random.Random(load.name)
    name = {"name": "Bench"}
    address = name | ADDRESSES[load.country]
    payment = {"channel": load.channel, "token": TOKENS[load.channel]}
    while True:
        start = chance.randrange(load.skus)
        lines = [
            {"sku": sku(load.first_sku + (start + line) % load.skus), "quantity": chance.choice((1, 1, 1, 2))}
            if load.lines > 1
            else {"sku": sku(load.first_sku + start), "quantity": 1}
            for line in range(load.lines)
        ]
        yield {"currency": CURRENCY, "customer": name, "ship_to": address, "lines": lines, "payment": payment}


def events(load: Load, source: str) -> Iterator[tuple[str, bytes]]:
    """The order ids of an external system, and the CloudEvents that say what it wants."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    event_type = f"order.{load.way}"
    for number, basket in zip(range(load.orders), baskets(load), strict=False):
        order_id = f"{load.name}-{number:07}"
        data = basket | {"order_id": order_id}
        if load.way == "paid":
            lines = [line | {"unit_price": PRICE} for line in basket["lines"]]
            total = sum(line["quantity"] * PRICE for line in lines)
            receipt = {"channel": "alipay", "reference": f"A-{order_id}"}
            data |= {"lines": lines, "total": total, "payment": receipt}
        event = {
            "specversion": "1.0",
            "id": f"{event_type}-{order_id}",
            "source": source,
            "type": event_type,
            "subject": order_id,
            "time": now,
            "datacontenttype": "application/json",
            "data": data,
        }
        yield order_id, orjson.dumps(event)
