"""How busy the stack is: what each service does a second and how late, and what waits in which queue."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.rabbitmq.management import Management
from deploy.stack import stack
from deploy.stack.credentials import SERVICES
from deploy.stack.state import StackFolder
from deploy.trust import trusted_at


@dataclass(frozen=True, slots=True)
class Vitals:
    """What a service has counted since it started. `age`: the sum of how old events were when they were handled, in seconds."""

    handled: float = 0
    published: float = 0
    age: float = 0
    aged: float = 0
    outbox: float = 0


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a service does between two looks. `lag_ms`: how old events are when they are handled; None where there were none."""

    handled_per_second: float
    published_per_second: float
    lag_ms: float | None
    outbox: int


@dataclass(frozen=True, slots=True)
class Queue:
    """What one of the services hears from."""

    name: str
    waiting: int
    in_hand: int


@dataclass(frozen=True, slots=True)
class Look:
    """The stack at one moment; a pulse needs two."""

    at: float
    lines: list[stack.Line]
    vitals: dict[str, Vitals]
    queues: list[Queue]

    def pulses(self, before: "Look") -> dict[str, Pulse]:
        """Of the services that answered both times and were not started in between."""
        seconds = self.at - before.at
        return {
            name: between(before.vitals[name], now, seconds)
            for name, now in self.vitals.items()
            if name in before.vitals and now.handled >= before.vitals[name].handled
        }


def between(before: Vitals, after: Vitals, seconds: float) -> Pulse:
    """The rates of what has been counted in the meantime."""
    aged = after.aged - before.aged
    return Pulse(
        (after.handled - before.handled) / seconds,
        (after.published - before.published) / seconds,
        (after.age - before.age) / aged * 1000 if aged else None,
        int(after.outbox),
    )


def read(text: str) -> Vitals:
    """Out of Prometheus's text format."""
    from prometheus_client.parser import text_string_to_metric_families

    sums: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.labels.get("outcome", "handled") == "handled":
                sums[sample.name] += sample.value
    return Vitals(
        handled=sums["orderbus_events_handled_total"],
        published=sums["orderbus_events_published_total"],
        age=sums["orderbus_event_age_seconds_sum"],
        aged=sums["orderbus_event_age_seconds_count"],
        outbox=sums["orderbus_outbox_rows"],
    )


async def look(found: Mapping[str, Any], folder: StackFolder | None = None) -> Look:
    """All of it now. `found`: what stack.json says, of the stack in this folder."""
    lines, vitals, queues = await asyncio.gather(
        asyncio.to_thread(stack.status, folder), _vitals(found), _queues(found["rabbitmq"])
    )
    return Look(time.monotonic(), lines, vitals, queues)


async def _vitals(found: Mapping[str, Any]) -> dict[str, Vitals]:
    import httpx

    urls = [found["services"][name]["url"] for name in SERVICES]
    async with httpx.AsyncClient(verify=trusted_at(urls[0]), trust_env=False, timeout=5) as client:
        answers = await asyncio.gather(*(client.get(f"{url}/metrics") for url in urls), return_exceptions=True)
    return {
        name: read(answer.text)
        for name, answer in zip(SERVICES, answers, strict=True)
        if isinstance(answer, httpx.Response) and answer.is_success
    }


async def _queues(rabbitmq: Mapping[str, Any]) -> list[Queue]:
    """Those in which something waits or is in hand, the fullest first; none where no management API is known, or answers."""
    from deploy.rabbitmq.management import ManagementError

    if rabbitmq["management_url"] is None:
        return []
    try:
        async with Management(rabbitmq["management_url"], rabbitmq["url"]) as broker:
            known = await broker.get("queues", broker.vhost) or []
    except ManagementError:
        return []
    queues = [Queue(each["name"], each.get("messages_ready", 0), each.get("messages_unacknowledged", 0)) for each in known]
    return sorted(
        (each for each in queues if each.waiting or each.in_hand), key=lambda each: (-each.waiting, -each.in_hand, each.name)
    )
