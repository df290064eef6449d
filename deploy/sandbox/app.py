"""The sandbox, put together: partners, their books, the courier of their webhooks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request, Response

from deploy.sandbox import control, twilio
from deploy.sandbox.bodies import LIMIT, BodyTooLargeError, HungUpError
from deploy.sandbox.courier import AT_ONCE, Courier
from deploy.sandbox.dhl import routes as dhl
from deploy.sandbox.dhl.problems import DhlError
from deploy.sandbox.dhl.scanner import Scanner
from deploy.sandbox.dhl.waybills import Waybills
from deploy.sandbox.faults import Faults
from deploy.sandbox.json_answers import json_answer
from deploy.sandbox.ledger import Ledger
from deploy.sandbox.pace import Pace
from deploy.sandbox.settings import Settings
from deploy.sandbox.stripe import page as stripe_page
from deploy.sandbox.stripe import routes as stripe
from deploy.sandbox.stripe.account import Account
from deploy.sandbox.stripe.bank import Bank
from deploy.sandbox.stripe.edge import Edge
from deploy.sandbox.stripe.errors import StripeError
from deploy.sandbox.stripe.replays import Replays
from deploy.sandbox.stripe.shopper import Events, Shopper
from deploy.sandbox.twilio import Outbox, TwilioError

WEBHOOK_TIMEOUT = 10.0
WEBHOOK_CONNECTIONS = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)


def create_app(settings: Settings, pace: Pace | None = None, client: httpx.AsyncClient | None = None) -> FastAPI:
    """A sandbox with empty books. Tests give it their own pace, and a client that stands for the product."""
    pace = pace or Pace()
    # Webhooks go to the product on this machine or network, never through a proxy that the environment names.
    client = client or httpx.AsyncClient(timeout=WEBHOOK_TIMEOUT, limits=WEBHOOK_CONNECTIONS, trust_env=False)
    courier = Courier(client, pace)
    faults = Faults()

    account = Account()
    events = Events(courier, settings.sandbox_stripe_webhook_url, settings.stripe_webhook_secret.get_secret_value())
    shopper = Shopper(account, events, pace)
    bank = Bank(events, pace)
    edge = Edge(settings.stripe_secret_key.get_secret_value(), faults, pace, Replays(), set())

    waybills = Waybills()
    scanner = Scanner(waybills, courier, settings.sandbox_dhl_webhook_url, settings.dhl_webhook_secret.get_secret_value())
    outbox = Outbox()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await shopper.stop()
        await bank.stop()
        await courier.stop()
        await client.aclose()

    app = FastAPI(title="Orderbus sandbox", lifespan=lifespan)
    app.include_router(stripe.api(account, edge, shopper, bank, events))
    app.include_router(stripe_page.pages(account, shopper))
    app.include_router(dhl.api(settings, waybills, faults, pace))
    app.include_router(twilio.api(settings, outbox, faults, pace))
    app.include_router(control.api(scanner, Ledger(account, waybills, outbox, courier), faults))
    _answer_refusals(app)

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    return app


def _answer_refusals(app: FastAPI) -> None:
    """Each partner refuses in its own shape."""

    @app.exception_handler(StripeError)
    async def refuse_stripe(_: Request, error: StripeError) -> Response:
        return json_answer(error.document, error.status)

    @app.exception_handler(DhlError)
    async def refuse_dhl(request: Request, problem: DhlError) -> Response:
        return json_answer(problem.document(request.url.path), problem.status)

    @app.exception_handler(TwilioError)
    async def refuse_twilio(_: Request, error: TwilioError) -> Response:
        return json_answer(error.document, error.status)

    @app.exception_handler(BodyTooLargeError)
    async def refuse_body(_: Request, error: BodyTooLargeError) -> Response:
        return json_answer({"title": "Body too large", "status": 413, "detail": f"At most {LIMIT} bytes."}, 413)

    @app.exception_handler(HungUpError)
    async def leave_undone(_: Request, error: HungUpError) -> Response:
        return Response(status_code=499)
