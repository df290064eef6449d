"""The shopper at the checkout page, and the events that tell what he did."""

import asyncio
import time

import orjson

from deploy.sandbox import identifiers, signatures
from deploy.sandbox.courier import Courier
from deploy.sandbox.json_answers import Document
from deploy.sandbox.pace import Pace
from deploy.sandbox.stripe.account import Account
from deploy.sandbox.stripe.sessions import Session
from deploy.sandbox.stripe.tokens import Visit

API_VERSION = "2025-09-30.clover"


class Events:
    """Announces what became of a session or an intent by signed webhook."""

    def __init__(self, courier: Courier, url: str, secret: str) -> None:
        self._courier = courier
        self._url = url
        self._secret = secret

    def announce(self, type: str, object: Document, copies: int = 1) -> list[asyncio.Event]:
        """Send one event this often; each of the returned is set when that copy's first attempt is over."""
        body = orjson.dumps(
            {
                "id": identifiers.new("evt_"),
                "object": "event",
                "api_version": API_VERSION,
                "created": int(time.time()),
                "data": {"object": object},
                "livemode": False,
                "pending_webhooks": 1,
                "request": {"id": None, "idempotency_key": None},
                "type": type,
            }
        )
        return [
            self._courier.send(self._url, body, lambda now: signatures.stripe(self._secret, body, now)) for _ in range(copies)
        ]


class Shopper:
    """Visits checkout sessions, by himself or through the page."""

    def __init__(self, account: Account, events: Events, pace: Pace) -> None:
        self._account = account
        self._events = events
        self._pace = pace
        self._visits: set[asyncio.Task[None]] = set()

    async def is_sent_to(self, session: Session, visit: Visit) -> None:
        """Returns at once, save for an early webhook: then only when that has been delivered."""
        if visit.webhook == "early":
            for attempted in self.tries(session, visit):
                await attempted.wait()
            return
        task = asyncio.create_task(self._visit(session, visit))
        self._visits.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(self._visits.discard)

    def tries(self, session: Session, visit: Visit) -> list[asyncio.Event]:
        """Pay, or fail to, and have it announced if Stripe would; nothing happens if the session is no longer open."""
        told = self._account.pay(session, visit.decline_code, by_debit=visit.by_debit)
        return self._events.announce(told, session.document(), visit.webhooks) if told else []

    async def stop(self) -> None:
        """No more visits."""
        for task in self._visits:
            task.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    async def _visit(self, session: Session, visit: Visit) -> None:
        await asyncio.sleep(self._pace.shopper)
        if visit.webhook == "soon":
            self.tries(session, visit)
        elif told := self._account.pay(session, visit.decline_code, by_debit=visit.by_debit):
            await asyncio.sleep(self._pace.late)
            self._events.announce(told, session.document(), visit.webhooks)
