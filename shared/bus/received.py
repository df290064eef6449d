"""A message as the broker delivered it: where it stood, how often it has come back, and what can be read of it."""

from collections.abc import Mapping
from typing import Any

from aio_pika.abc import AbstractIncomingMessage

from shared import cards, codec, dead_letters
from shared.codec import Decoded, Unreadable
from shared.origin import Origin
from shared.subscriptions import Subscription

DEATHS = "x-death"
"""The header in which the broker tells where it took a dead message from. One that comes with it from elsewhere has made it
up, and RabbitMQ before 4.0 would go on from what it says."""

COMINGS_BACK = "x-delivery-count"
"""The header in which a quorum queue tells how often it has delivered a message before."""

GIVEN_UP = "given up by the broker: the process died, or rejected it, each time it was delivered"


class Received:
    """One message as it came. An object, because FastStream would unpack what a decoder returns."""

    def __init__(self, raw: AbstractIncomingMessage) -> None:
        self.raw = raw

    @property
    def times_back(self) -> int:
        """How often it has been delivered before, and came back."""
        match self.raw.headers.get(COMINGS_BACK):
            case int(times):
                return times
        return 0

    def read(self, subscription: Subscription, queue: str) -> Decoded:
        """Its events, as they stand in this queue."""
        raw, origin = self.raw, Origin(self.raw.exchange or "", self.raw.routing_key or "", queue)
        if DEATHS in raw.headers:
            reason = f"{DEATHS}: only the broker may say that a message has died"
            return Decoded(unreadable=[Unreadable(reason, cards.masked_bytes(raw.body), None, origin)])
        return codec.decode(raw.body, raw.content_type, raw.headers, subscription.wants, origin)

    def read_dead(self) -> Decoded:
        """Its events, whatever they are, from wherever the broker took it."""
        return codec.decode(self.raw.body, self.raw.content_type, self.raw.headers, origin=dead_from(self.raw.headers))

    def whole(self) -> dead_letters.Letter:
        """Of a dead one, unread: reading it may be what kills."""
        return dead_letters.Letter(cards.masked_unread(self.raw.body), GIVEN_UP, None, None, dead_from(self.raw.headers))


def dead_from(headers: Mapping[str, Any]) -> Origin | None:
    """Where the broker took a dead message from; None when it was not the broker that put it among the dead."""
    match headers.get(DEATHS):
        case [{"exchange": str(exchange), "routing-keys": [str(routing_key), *_], "queue": str(queue)}, *_]:  # latest first
            return Origin(exchange, routing_key, queue)
    return None
