"""The orders of one run: the same seed makes the same baskets, under ids that no other run uses."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from deploy.demo.catalogue import DEAREST, EMPTY_SHELF, NOT_OURS, catalogue
from deploy.demo.people import ABROAD, AT_HOME, Person
from deploy.demo.stories import Destination, Ending, Goods, Story, Then, Way, portions

SHOP = "/shops/taobao-42"
OTHER_SHOP = "/shops/corner-7"
FIRST_DAY = 1124

PIECES = {Goods.DEAR: 6, Goods.VERY_MANY: 1200}


@dataclass(frozen=True, slots=True)
class Purchase:
    """One order before it is sent. `reference` is unique for ever: the Idempotency-Key over HTTP, else the order's id.

    `body` is what `POST /api/orders` takes, or the data of the event; `source` the shop that tells it, if another's."""

    number: int
    reference: str
    story: Story
    source: str
    body: dict[str, Any]

    @property
    def lines(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = self.body["lines"]
        return lines

    @property
    def keeps_its_goods(self) -> bool:
        """When all is over its pieces have left the shelf, or stay set aside there."""
        story = self.story
        if story.goods is Goods.EMPTY_SHELF or story.ending in (Ending.CANCELLED, Ending.REJECTED):
            return False
        return story.then is Then.RELEASE or not (story.wrong_total or story.goods in (Goods.UNKNOWN, Goods.VERY_MANY))

    def event(self) -> dict[str, Any]:
        """The purchase as the CloudEvent of the other system, told now."""
        assert self.story.way.is_external, "the shop's own shoppers come by HTTP"
        return {
            "specversion": "1.0",
            "id": f"{self.source.rpartition('/')[2]}-{self.reference}",
            "source": self.source,
            "type": "order.submitted" if self.story.way is Way.SUBMITTED else "order.paid",
            "subject": self.reference,
            "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": {"order_id": self.reference, **self.body},
        }


def shoppers(run: str, orders: int, seed: int = FIRST_DAY) -> list[Purchase]:
    """What everybody buys, in the sequence in which they come: mixed, as in a shop, but what takes long comes first. `run`
    is in every id."""
    chance = random.Random(seed)
    stories = [story for story, count in portions(orders) for _ in range(count)]
    chance.shuffle(stories)
    stories.sort(key=lambda story: not story.takes_long)
    purchases = [_purchase(run, number, story, chance) for number, story in enumerate(stories, start=1)]
    return _with_taken_ids(purchases)


def pieces_kept(purchases: Iterable[Purchase]) -> Counter[str]:
    """How many pieces of each SKU the run takes off the shelves or keeps set aside."""
    pieces: Counter[str] = Counter()
    for purchase in purchases:
        if purchase.keeps_its_goods:
            for line in purchase.lines:
                pieces[line["sku"]] += line["quantity"]
    return pieces


def _purchase(run: str, number: int, story: Story, chance: random.Random) -> Purchase:
    who = _receiver(story.destination, chance)
    body: dict[str, Any] = {
        "currency": story.currency,
        "customer": {"name": who["name"], "phone": who["phone"]},
        "ship_to": who,
        "lines": _basket(story.goods, chance),
    }
    if story.way in (Way.SHOP, Way.SUBMITTED):
        body["payment"] = {"channel": story.channel} | ({"token": story.pays_with} if story.pays_with else {})
    else:
        body = _paid(body, story, number)
    prefix = "TB" if story.way.is_external else "demo"
    return Purchase(number, f"{prefix}-{run}-{number:04}", story, SHOP if story.way.is_external else "", body)


def _paid(body: dict[str, Any], story: Story, number: int) -> dict[str, Any]:
    """The same, priced by the shop that has taken the money."""
    lines = [{**line, "unit_price": _price(line["sku"])} for line in body["lines"]]
    total = sum(line["quantity"] * line["unit_price"] for line in lines)
    receipt = {"channel": "alipay", "reference": f"20261124{number:05}"}
    return {**body, "total": total - 100 if story.wrong_total else total, "lines": lines, "payment": receipt}


def _price(sku: str) -> int:
    article = catalogue().get(sku)
    return article.price if article else 9900


def _basket(goods: Goods, chance: random.Random) -> list[dict[str, Any]]:
    match goods:
        case Goods.EMPTY_SHELF:
            return [{"sku": EMPTY_SHELF, "quantity": 1}]
        case Goods.UNKNOWN:
            return [{"sku": NOT_OURS, "quantity": 1}]
        case Goods.DEAR:
            return [{"sku": DEAREST, "quantity": PIECES[goods]}]
        case Goods.VERY_MANY:
            return [{"sku": "TW-1028", "quantity": PIECES[goods]}]
        case Goods.ORDINARY:
            ordinary = [sku for sku in catalogue() if sku not in (EMPTY_SHELF, DEAREST)]
            chosen = chance.sample(ordinary, chance.choice((1, 1, 1, 2, 3)))
            return [{"sku": sku, "quantity": chance.choice((1, 1, 1, 2))} for sku in chosen]


def _receiver(destination: Destination, chance: random.Random) -> Person:
    match destination:
        case Destination.HOME:
            return chance.choice(AT_HOME)
        case Destination.ABROAD:
            return chance.choice(ABROAD)
        case _:
            return {**ABROAD[0], "postcode": destination.value}


def _with_taken_ids(purchases: Sequence[Purchase]) -> list[Purchase]:
    """The second shop's orders bear the ids of orders that the first one has sold."""
    first = [each for each in purchases if each.story.way is Way.PAID and each.story.ending is Ending.SHIPPED]
    sold = iter([each.reference for each in first if each.story.then is Then.NOTHING])
    return [
        replace(purchase, reference=next(sold), source=OTHER_SHOP) if purchase.story.taken_id else purchase
        for purchase in purchases
    ]
