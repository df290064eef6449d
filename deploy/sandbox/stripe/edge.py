"""What every call to Stripe goes through: the key, the operator's faults, the form, the idempotency key."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request, Response

from deploy.sandbox import bodies, credentials, identifiers
from deploy.sandbox.faults import Faults
from deploy.sandbox.holding import hold
from deploy.sandbox.json_answers import Document
from deploy.sandbox.pace import Pace
from deploy.sandbox.stripe import errors
from deploy.sandbox.stripe.form import Form
from deploy.sandbox.stripe.replays import Answer, Replays, answer_with
from deploy.sandbox.stripe.tokens import Call


@dataclass(slots=True)
class Edge:
    """Lets calls in, and answers each key once."""

    secret_key: str
    faults: Faults
    pace: Pace
    replays: Replays
    failed_once: set[str]
    """Idempotency keys whose one 500 has been given."""

    async def admits(self, request: Request) -> None:
        """A FastAPI dependency; raises StripeError for a wrong key, or where the operator wants a fault."""
        if not credentials.is_bearer(request, self.secret_key):
            raise errors.unauthorised()
        if await self.faults.strikes("stripe"):
            raise errors.server_error()

    async def post(self, request: Request, operation: Callable[[Form], Awaitable[Answer]]) -> Response:
        """Run the operation once for each idempotency key."""
        form = Form.parse(await bodies.read(request))
        key = request.headers.get("idempotency-key", "")
        answer, replayed = await self.replays.once(key, (request.url.path, form.pairs), lambda: operation(form))
        if answer.held and not replayed:
            await hold(request, self.pace.hold)
        response = Response(answer.body, answer.status, media_type="application/json")
        response.headers["Request-Id"] = identifiers.new("req_")
        if key:
            response.headers["Idempotency-Key"] = key
        if replayed:
            response.headers["Idempotent-Replayed"] = "true"
        return response

    async def before(self, call: Call, request: Request) -> None:
        """What befalls a call before its work is done; raises StripeError for one that is to fail this time."""
        if call == "slow":
            await asyncio.sleep(self.pace.slow)
        elif call == "fails_once":
            key = request.headers.get("idempotency-key", "")
            if key not in self.failed_once:
                self.failed_once.add(key)
                raise errors.server_error()

    def after(self, call: Call, document: Document) -> Answer:
        """The answer, held back from its caller if the call is to come too late."""
        return answer_with(document, held=call == "held")
