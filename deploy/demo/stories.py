"""Every kind of order in the demo: what the shopper does, and how that must end, with the reason."""

from dataclasses import dataclass
from enum import StrEnum


class Way(StrEnum):
    """How an order comes in."""

    SHOP = "HTTP"
    PAID = "order.paid, AMQP"
    PAID_BATCH = "order.paid, AMQP batch"
    PAID_HTTP = "order.paid, HTTP"
    SUBMITTED = "order.submitted, AMQP"

    @property
    def is_external(self) -> bool:
        """Another system's order, under that system's own id."""
        return self is not Way.SHOP


class Ending(StrEnum):
    """The status an order must end in; `rejected` is one that is not taken at all."""

    SHIPPED = "shipped"
    COMPLETED = "completed"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"
    HELD = "held"
    REJECTED = "rejected"


class Then(StrEnum):
    """What somebody does with the order once it is on its way."""

    NOTHING = "nothing"
    CANCEL = "the shopper cancels"
    CALL_OFF = "a person calls it off"
    RELEASE = "a person releases it"
    REFUND_PART = "a part is refunded"
    REFUND_ALL = "all is refunded"
    DELIVER = "the carrier delivers"
    NOT_AT_HOME = "the carrier finds nobody"


class Goods(StrEnum):
    """What is in the basket."""

    ORDINARY = "one to three ordinary articles"
    EMPTY_SHELF = "an article that has run out"
    DEAR = "so dear that a person looks at the payment"
    VERY_MANY = "more pieces than shoppers buy"
    UNKNOWN = "an article nobody knows"


class Destination(StrEnum):
    """Where the parcel goes; the last three are postcodes at which the sandbox's DHL has its moods."""

    HOME = "home"
    ABROAD = "abroad"
    ANSWER_LOST = "00408"
    FAILS_ONCE = "00500"
    REFUSED = "00422"


@dataclass(frozen=True, slots=True)
class Story:
    """One kind of order. `every` run has so many of them; those with a `share` fill up the number that was asked for.

    `because` is in the reason that the order's owner is given; where none is, `shows` says what there is to see.
    `pays_with`: the sandbox's token that chooses what the provider does. `copies`: how often the same thing is sent.
    `taken_id`: the order has the id of another shop's order, which was there first.
    """

    name: str
    way: Way
    ending: Ending = Ending.SHIPPED
    because: str = ""
    shows: str = ""
    every: int = 0
    share: int = 0
    channel: str = "card"
    pays_with: str | None = "tok_ok"
    goods: Goods = Goods.ORDINARY
    destination: Destination = Destination.HOME
    then: Then = Then.NOTHING
    copies: int = 1
    currency: str = "CNY"
    wrong_total: bool = False
    taken_id: bool = False

    @property
    def takes_long(self) -> bool:
        """A partner's answer is waited for until it is given up, or things happen one after the other."""
        answer_is_lost = self.pays_with == "tok_timeout_after_charge" or self.destination is Destination.ANSWER_LOST
        return answer_is_lost or self.then is not Then.NOTHING


_ABROAD, _REFUSED = Destination.ABROAD, Destination.REFUSED

_SHOP = (
    Story("card, our own fleet", Way.SHOP, share=34, shows="charged, then shipped"),
    Story("card, abroad with DHL", Way.SHOP, share=10, destination=_ABROAD, shows="the waybill is DHL's"),
    Story("paid on the provider's page", Way.SHOP, share=12, channel="redirect", shows="a signed webhook told of it"),
    Story("on account", Way.SHOP, share=8, channel="invoice", pays_with=None, shows="no provider is asked"),
    Story("the same request three times", Way.SHOP, every=5, copies=3, shows="one order, the same answer three times"),
    Story("the charge's answer lost", Way.SHOP, every=3, pays_with="tok_timeout_after_charge", shows="never charged twice"),
    Story("the card's provider fails once", Way.SHOP, every=2, pays_with="tok_server_error_once", shows="asked again"),
    Story("the webhook comes twice", Way.SHOP, every=2, channel="redirect", pays_with="tok_webhook_twice", shows="heard once"),
    Story(
        "the webhook comes early",
        Way.SHOP,
        every=2,
        channel="redirect",
        pays_with="tok_webhook_early",
        shows="before our own call returned",
    ),
    Story("DHL's answer lost", Way.SHOP, every=1, destination=Destination.ANSWER_LOST, shows="found again, one waybill"),
    Story("DHL fails once", Way.SHOP, every=2, destination=Destination.FAILS_ONCE, shows="asked again"),
    Story("suspicious, released", Way.SHOP, every=2, pays_with="tok_review", then=Then.RELEASE, shows="a person let it go on"),
    Story("a dear one, released", Way.SHOP, every=1, goods=Goods.DEAR, then=Then.RELEASE, shows="a person let it go on"),
    Story("a part refunded", Way.SHOP, every=2, then=Then.REFUND_PART, shows="10.00 CNY went back"),
    Story("delivered by our own fleet", Way.SHOP, Ending.COMPLETED, every=4, then=Then.DELIVER, shows="scanned on its way"),
    Story(
        "delivered abroad",
        Way.SHOP,
        Ending.COMPLETED,
        every=3,
        destination=_ABROAD,
        then=Then.DELIVER,
        shows="scanned on its way",
    ),
    Story("all of it refunded", Way.SHOP, Ending.REFUNDED, every=1, then=Then.REFUND_ALL, shows="the whole sum went back"),
    Story("card declined", Way.SHOP, Ending.CANCELLED, "generic_decline", every=6, pays_with="tok_declined"),
    Story("no money on the card", Way.SHOP, Ending.CANCELLED, "insufficient_funds", every=3, pays_with="tok_insufficient_funds"),
    Story("the debit fails", Way.SHOP, Ending.CANCELLED, "failed", every=2, channel="redirect", pays_with="tok_debit_failed"),
    Story("the shelf is empty", Way.SHOP, Ending.CANCELLED, "out_of_stock", every=4, goods=Goods.EMPTY_SHELF),
    Story(
        "the shopper cancels",
        Way.SHOP,
        Ending.CANCELLED,
        "changed my mind",
        every=3,
        channel="redirect",
        pays_with="tok_manual",
        then=Then.CANCEL,
    ),
    Story("DHL refuses, called off", Way.SHOP, Ending.CANCELLED, "nobody", every=1, destination=_REFUSED, then=Then.CALL_OFF),
    Story("the provider is suspicious", Way.SHOP, Ending.HELD, "risk", every=3, pays_with="tok_review"),
    Story("above the review limit", Way.SHOP, Ending.HELD, "is above", every=2, goods=Goods.DEAR),
    Story("too many pieces", Way.SHOP, Ending.HELD, "more than", every=1, goods=Goods.VERY_MANY),
    Story("DHL refuses the address", Way.SHOP, Ending.HELD, "DHL", every=1, destination=_REFUSED),
    Story("nobody was at home", Way.SHOP, Ending.HELD, "not home", every=1, then=Then.NOT_AT_HOME),
)

_OTHER_SYSTEMS = (
    Story("sold by another shop", Way.PAID, share=16, shows="the shop has the money"),
    Story("sold elsewhere, abroad", Way.PAID, share=4, destination=_ABROAD, shows="the shop has the money"),
    Story("sold elsewhere, in batches", Way.PAID_BATCH, share=8, shows="ten in one message"),
    Story("sold by a shop without AMQP", Way.PAID_HTTP, share=6, shows="POST /api/events"),
    Story("submitted by another system", Way.SUBMITTED, share=6, shows="our price, our charge"),
    Story("the same event three times", Way.PAID, every=5, copies=3, shows="one order, one parcel"),
    Story("wrong total, released", Way.PAID, every=1, wrong_total=True, then=Then.RELEASE, shows="a person let it go on"),
    Story("sold elsewhere, delivered", Way.PAID, Ending.COMPLETED, every=2, then=Then.DELIVER, shows="scanned on its way"),
    Story("submitted, card declined", Way.SUBMITTED, Ending.CANCELLED, "generic_decline", every=2, pays_with="tok_declined"),
    Story("its total is not its lines' sum", Way.PAID, Ending.HELD, "not the sum", every=3, wrong_total=True),
    Story("paid for an unknown SKU", Way.PAID_HTTP, Ending.HELD, "unknown SKU", every=2, goods=Goods.UNKNOWN),
    Story("paid for an empty shelf", Way.PAID, Ending.HELD, "out_of_stock", every=2, goods=Goods.EMPTY_SHELF),
    Story("the id is another shop's", Way.PAID, Ending.REJECTED, "order_id_taken", every=3, taken_id=True),
    Story("submitted, unknown SKU", Way.SUBMITTED, Ending.REJECTED, "unknown_sku", every=2, goods=Goods.UNKNOWN),
    Story("submitted in the wrong currency", Way.SUBMITTED, Ending.REJECTED, "currency_mismatch", every=1, currency="USD"),
)

STORIES = (*_SHOP, *_OTHER_SYSTEMS)

FEWEST = sum(story.every for story in STORIES) + sum(1 for story in STORIES if story.share)
"""Orders in the smallest run: each kind at least once."""


def portions(orders: int) -> list[tuple[Story, int]]:
    """How many orders of each story a run of this size has; what rounding leaves over goes to the first."""
    rest = orders - FEWEST
    shares = sum(story.share for story in STORIES)
    counts = {story.name: story.every or 1 + rest * story.share // shares for story in STORIES}
    counts[STORIES[0].name] += orders - sum(counts.values())
    return [(story, counts[story.name]) for story in STORIES]
