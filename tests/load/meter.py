"""What a load costs: read before and after it."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from deploy.stack.credentials import SERVICES
from tests.load.installation import Installation
from tests.plain_http import PLAIN

COSTS = (*SERVICES, "postgres", "rabbitmq")
"""Whose CPU time makes up an order's cost. The clients and the partners' stand-ins are somebody else's."""

_MEBIBYTE = 1024**2

_STATEMENTS = """
    SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
      JOIN pg_roles ON pg_roles.oid = userid WHERE rolname LIKE current_database() || '\\_%'
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """Of every meter at one moment. `cpu`: seconds; `memory`: MiB of the service's largest process; `published` and
    `delivered`: AMQP messages to the broker and to its queues; `statements`: those of the services' own roles."""

    cpu: dict[str, float]
    memory: dict[str, float]
    published: int
    delivered: int
    statements: int | None


async def read(installation: Installation) -> Reading:
    """Costs some milliseconds, none of them the services'."""
    async with httpx.AsyncClient(verify=PLAIN, trust_env=False, timeout=30) as client:
        counted = _totals((await client.get(installation.broker_counters)).raise_for_status().text)
    statements = None
    if installation.counts_statements:
        ((statements,),) = await installation.servers.fetch(_STATEMENTS)
    return Reading(
        cpu={name: sum(map(_cpu_seconds, pids)) for name, pids in installation.pids.items()},
        memory=memory(installation),
        published=counted["rabbitmq_global_messages_received_total"],
        delivered=counted["rabbitmq_global_messages_routed_total"],
        statements=statements,
    )


def memory(installation: Installation) -> dict[str, float]:
    """Resident, of each service's largest process."""
    return {
        name: round(max(psutil.Process(pid).memory_info().rss for pid in installation.pids[name]) / _MEBIBYTE, 1)
        for name in SERVICES
    }


def _cpu_seconds(pid: int) -> float:
    """Of a process, of its children, and of those that have ended: Postgres has one for each connection."""
    root = psutil.Process(pid)
    return sum(_seconds(process) for process in (root, *root.children(recursive=True)))


def _seconds(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _totals(text: str) -> dict[str, int]:
    """What RabbitMQ has counted, by name, over all protocols; what it does not count is missing."""
    totals: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            totals[sample.name] += int(sample.value)
    return dict(totals)
