"""Who may do what on the broker. Nobody but the administrator declares anything; see docs/decisions/0011."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deploy.rabbitmq.management import Management
from deploy.rabbitmq.names import service_user, watcher
from shared.events import EVENTS
from shared.origin import EXCHANGE
from shared.service import Service

NOTHING = "^$"

FORWARDER = "orders"
"""Takes other systems' events over HTTP and says them on the bus under their own source."""


@dataclass(frozen=True, slots=True)
class Rights:
    """`writes`: the one exchange; `types`: the routing keys there; `reads`: a regular expression of queues."""

    writes: str
    types: frozenset[str]
    reads: str


def rights_of(service: Service) -> Rights:
    """A service says what it announces and hears its own queues."""
    types = {event.type for event in service.announces}
    if service.name == FORWARDER:
        types |= {event.type for event in EVENTS.values() if event.inbound}
    return Rights(EXCHANGE, frozenset(types), f"^{service.name}\\.")


def one_of(names: Iterable[str]) -> str:
    """A regular expression that matches these names and nothing else."""
    alternatives = "|".join(re.escape(name) for name in sorted(names))
    return f"^({alternatives})$" if alternatives else NOTHING


async def let_in(broker: Management, services: Iterable[Service], passwords: Mapping[str, str]) -> None:
    """A user for each service. Idempotent; the password becomes the one given."""
    for service in services:
        user = service_user(broker.vhost, service.name)
        await broker.put("users", user, password=passwords[service.name], tags="")
        await grant(broker, user, rights_of(service))


async def let_watch(broker: Management, password: str) -> None:
    """A user for an autoscaler: by the management API it sees this vhost's queues, and nothing of what is in them."""
    user = watcher(broker.vhost)
    await broker.put("users", user, password=password, tags="management")
    await broker.put("permissions", broker.vhost, user, configure=NOTHING, write=NOTHING, read=NOTHING)


async def grant(broker: Management, user: str, rights: Rights) -> None:
    """These rights and no others. First which keys, then the exchange: where no keys are said, all are allowed."""
    await broker.put("topic-permissions", broker.vhost, user, exchange=rights.writes, write=one_of(rights.types), read=NOTHING)
    await broker.put("permissions", broker.vhost, user, configure=NOTHING, write=one_of([rights.writes]), read=rights.reads)
