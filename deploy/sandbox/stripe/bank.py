"""The shopper's bank, to which refunds go: some it takes its time over, and some come back."""

import asyncio

from deploy.sandbox.pace import Pace
from deploy.sandbox.stripe import refunds
from deploy.sandbox.stripe.intents import Intent
from deploy.sandbox.stripe.refunds import Refund
from deploy.sandbox.stripe.shopper import Events


class Bank:
    """Decides later on what it was sent, and has that announced."""

    def __init__(self, events: Events, pace: Pace) -> None:
        self._events = events
        self._pace = pace
        self._decisions: set[asyncio.Task[None]] = set()

    def is_sent(self, refund: Refund, intent: Intent) -> None:
        """Returns at once."""
        task = asyncio.create_task(self._decide(refund, intent))
        self._decisions.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(self._decisions.discard)

    async def stop(self) -> None:
        """No more decisions."""
        for task in self._decisions:
            task.cancel()
        await asyncio.gather(*self._decisions, return_exceptions=True)

    async def _decide(self, refund: Refund, intent: Intent) -> None:
        for status in intent.refund_statuses[1:]:
            await asyncio.sleep(self._pace.late)
            refunds.becomes(refund, intent, status)
            self._events.announce("refund.failed" if status == "failed" else "refund.updated", refund.document())
