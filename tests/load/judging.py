"""Whether a load counts: every order ended as it should have, nothing is buried, everything adds up."""

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta

import aio_pika

from deploy.audit import audit
from deploy.stack.credentials import SERVICES
from tests.faults.judging import what_waits
from tests.faults.servers import Servers, queues
from tests.load.load import Outcome

AT_ONCE = -timedelta(hours=1)
"""All is at rest: every order is judged, also one that was spoken of just now."""

_BURIED = " UNION ALL ".join(
    f"SELECT format('{service} could not handle %s events: %s', count(*), min(reason)) FROM {service}.dead_letter"
    " WHERE state IN ('dead', 'retrying') HAVING count(*) > 0"
    for service in SERVICES
)


def complaints_of(outcome: Outcome, expected: Mapping[str, int]) -> list[str]:
    """What the client saw that should not have been. `expected`: how many orders end with which event."""
    found = [f"{outcome.missing} of {outcome.orders} orders did not end"] if outcome.missing else []
    if outcome.ends != expected and not outcome.missing:
        found.append(f"the orders ended {outcome.ends} instead of {dict(expected)}")
    return found + outcome.errors


async def at_rest(servers: Servers, patience: float = 30) -> list[str]:
    """Returns when nothing is waiting in any queue or outbox, or what still is."""
    deadline = time.monotonic() + patience
    async with await aio_pika.connect(servers.rabbitmq_url, timeout=10) as connection:
        channel = await connection.channel()
        while True:
            async with servers.connection() as postgres:
                waiting = await what_waits(postgres)
            for name in queues():
                declared = (await channel.declare_queue(name, passive=True)).declaration_result
                waiting += [f"{declared.message_count} messages in {name}"] if declared.message_count else []
            if not waiting or time.monotonic() > deadline:
                return waiting
            await asyncio.sleep(0.1)


async def judge(servers: Servers) -> list[str]:
    """The audit's violations and the dead letters. What has ended may still be being noted: it gets a moment for that."""
    found = await at_rest(servers)
    for _ in range(10):
        report = await audit(servers.postgres_url, AT_ONCE)
        violations = [f"audit, {check.name}: {line}" for check in report.checks for line in check.violations[:5]]
        if not violations:
            break
        await asyncio.sleep(0.5)
    return found + violations + [row[0] for row in await servers.fetch(_BURIED)]
