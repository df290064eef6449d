"""Runs the audit: one connection, one snapshot, nothing written."""

from datetime import UTC, datetime, timedelta

import asyncpg

from deploy.audit import statuses
from deploy.audit.invariants import INVARIANTS
from deploy.audit.report import Check, Report
from shared.database import speak_json

SETTLE = timedelta(seconds=5)
"""An order somebody spoke of more recently is on its way: services may not yet know the same of it."""


async def audit(superuser_url: str, settle: timedelta = SETTLE) -> Report:
    """Check every invariant on one snapshot of all four schemas. Raises asyncpg's errors when it cannot."""
    connection = await asyncpg.connect(superuser_url, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await examine(connection, before=datetime.now(UTC) - settle)
    finally:
        await connection.close()


async def examine(connection: asyncpg.Connection, before: datetime) -> Report:
    """Check every invariant in the transaction that is open; `before` as in SETTLE."""
    await speak_json(connection)
    # whole tables are joined: what does not fit is sorted on disk, or looked up one by one
    await connection.execute("SET LOCAL work_mem = '128MB'")
    checks = [await statuses.check(connection)]
    for invariant in INVARIANTS:
        arguments = [before] if "$1" in invariant.offenders else []
        violations = [row[0] for row in await connection.fetch(invariant.offenders, *arguments)]
        checks.append(Check(invariant.name, invariant.promise, await connection.fetchval(invariant.counted), violations))
    return Report(checks)
