"""Whose word a message is: what the broker itself says of it, and nothing that an event says of itself."""

from dataclasses import dataclass

EXCHANGE = "orderbus.events"
EXTERNAL = "external."
"""Another system publishes to an exchange of its own, called this and its CloudEvents source; see docs/decisions/0011."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The exchange and routing key that a message was first published with, which the broker has checked that its publisher
    may use; and the queue it stood in, `<service>.<event type>`."""

    exchange: str
    routing_key: str
    queue: str

    @property
    def is_ours(self) -> bool:
        """Published by one of our own services: the broker lets nobody else use their exchange."""
        return self.exchange == EXCHANGE

    def objection(self, source: str, type: str) -> str | None:
        """Why an event that says this of itself may not have come so, if it may not."""
        if self.exchange.startswith(EXTERNAL) and source != self.exchange.removeprefix(EXTERNAL):
            return f"source: {source} was published by {self.exchange.removeprefix(EXTERNAL)}, which may not speak for it"
        # a message can be sent to further queues by its CC header, whose keys not every broker checks
        is_published = self.is_ours or self.exchange.startswith(EXTERNAL)
        heard_as = self.queue.partition(".")[2]
        published_as = self.routing_key if is_published else heard_as
        if type != published_as:
            return f"type: {type} was published as {published_as}"
        if type != heard_as:
            return f"type: {type} stands in the queue of {heard_as}"
        return None
