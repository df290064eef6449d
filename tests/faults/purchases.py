"""What the shoppers of the suite buy, and how each of these must end."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

PRICE = 29900
SHOP = "/shops/taobao-42"

SHIPPED = frozenset({"shipped"})
CANCELLED = frozenset({"cancelled"})
HELD = frozenset({"held"})
REFUSED = frozenset({"refused"})
"""Not taken at all: the client was told so."""

BURIED = "dead letter"
"""Kept for a person: an end only for what cannot be handled."""

HOME = {"name": "李雷", "country": "CN", "city": "杭州市", "line1": "文三路 1 号", "postcode": "310000"}
ABROAD = {"name": "Erika Mustermann", "country": "DE", "city": "Berlin", "line1": "Torstr. 1", "postcode": "10119"}


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to buy. `token` chooses what the payment partner does, `postcode` what the carrier does; `copies`: how often
    the same thing is sent; `share`: how many of a hundred usual purchases."""

    name: str
    ends: frozenset[str] = SHIPPED
    way: str = "http"
    channel: str = "card"
    token: str | None = "pm_ok"
    postcode: str | None = None
    goods: str = "plenty"
    wrong_total: bool = False
    copies: int = 1
    share: int = 0

    @property
    def is_external(self) -> bool:
        return self.way != "http"


OWN_FLEET = Kind("card, own fleet", share=18)
EXTERNAL = Kind("order.paid, own fleet", way="paid", share=26)
EXTERNAL_DHL = Kind("order.paid, DHL", way="paid", postcode="10119", share=8)

USUAL = (
    OWN_FLEET,
    Kind("card, DHL", postcode="10119", share=10),
    Kind("redirect", channel="redirect", token="tok_ok", share=10),
    Kind("redirect, DHL", channel="redirect", token="tok_ok", postcode="10119", share=4),
    Kind("invoice", channel="invoice", token=None, share=10),
    Kind("the same request three times", copies=3, share=4),
    EXTERNAL,
    EXTERNAL_DHL,
    Kind("card declined", CANCELLED, token="pm_declined", share=2),
    Kind("shelf is empty", CANCELLED, goods="none", share=2),
    Kind("the carrier refuses", HELD, postcode="00422", share=2),
    Kind("order.paid, wrong total", HELD, way="paid", wrong_total=True, share=2),
    Kind("unknown article", REFUSED, goods="unknown", share=2),
)
"""A tenth of them are meant to fail."""


@dataclass(slots=True)
class Purchase:
    """One order of the suite's own ledger. `reference` is the Idempotency-Key, and another system's order id."""

    kind: Kind
    reference: str
    phone: str
    sku: str
    quantity: int
    ends: frozenset[str]
    order_id: str | None = None
    acknowledged_at: float | None = None
    ended_at: float | None = None
    ended: str | None = None
    fault: str | None = None
    copies: set[str] = field(default_factory=set)
    """Every id that was answered for the one reference."""

    @property
    def total(self) -> int:
        return PRICE * self.quantity

    def body(self) -> dict[str, Any]:
        """Of `POST /api/orders`."""
        common = {
            "currency": "CNY",
            "customer": {"name": "李雷", "phone": self.phone},
            "ship_to": self._ship_to(),
            "lines": [{"sku": self.sku, "quantity": self.quantity}],
        }
        return common | {"payment": {"channel": self.kind.channel, "token": self.kind.token}}

    def event(self, **more: Any) -> dict[str, Any]:
        """The CloudEvent of the shop that has taken the money."""
        line = {"sku": self.sku, "quantity": self.quantity, "unit_price": PRICE}
        data = self.body() | {
            "order_id": self.reference,
            "total": self.total - (100 if self.kind.wrong_total else 0),
            "lines": [line],
            "payment": {"channel": "alipay", "reference": f"A-{self.reference}"},
        }
        return {
            "specversion": "1.0",
            "id": f"paid-{self.reference}",
            "source": SHOP,
            "type": "order.paid",
            "subject": self.reference,
            "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": data,
        } | more

    def _ship_to(self) -> dict[str, Any]:
        if self.kind.postcode is None:
            return HOME
        return ABROAD | {"postcode": self.kind.postcode, "phone": self.phone}


class Catalogue:
    """The articles of one run, and the purchases made of them."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.skus = {"plenty": f"F-{run}", "none": f"F-{run}-NONE", "unknown": f"X-{run}"}
        self._number = 0

    def purchase(self, kind: Kind, quantity: int = 1, ends: frozenset[str] = frozenset()) -> Purchase:
        """A fresh one. `ends`: ways in which it may end beside those of its kind."""
        self._number += 1
        return Purchase(
            kind,
            reference=f"{self.run}-{self._number}-{uuid4().hex[:8]}",
            phone=f"+86{13_000_000_000 + self._number}",
            sku=self.skus[kind.goods],
            quantity=quantity,
            ends=kind.ends | ends,
        )

    def usual(self, chance: random.Random, ends: frozenset[str] = frozenset()) -> Purchase:
        """As shoppers come."""
        (kind,) = chance.choices(USUAL, [kind.share for kind in USUAL])
        return self.purchase(kind, chance.choice((1, 1, 1, 2, 3)), ends)
