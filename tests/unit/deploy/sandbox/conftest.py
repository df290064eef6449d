"""A sandbox in this process, a client for each partner, and the product's end of the webhooks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI

from deploy.sandbox.app import create_app
from deploy.sandbox.pace import Pace
from deploy.sandbox.settings import Settings

HURRIED = Pace(hold=0.5, slow=0.3, shopper=0.01, late=0.5, retries=(0.002, 0.004), give_up_after=0.5)
"""What a test must be quicker than leaves it time on a machine that has much to do."""


@pytest.fixture
def settings() -> Settings:
    return Settings.model_validate(
        {
            "stripe_secret_key": "sk_test_1",
            "stripe_webhook_secret": "whsec_stripe",
            "dhl_username": "apUser",
            "dhl_password": "dhl-password",
            "dhl_account": "123456789",
            "dhl_webhook_secret": "whsec_c2VjcmV0LW9mLWRobA==",
            "twilio_account_sid": "AC1",
            "twilio_auth_token": "twilio-token",
            "sandbox_stripe_webhook_url": "http://payments.test/stripe",
            "sandbox_dhl_webhook_url": "http://logistics.test/dhl",
        }
    )


@pytest.fixture
def refusals() -> list[int]:
    """Statuses with which the product answers its next webhooks; then it takes them."""
    return []


@pytest.fixture
def received() -> asyncio.Queue[httpx.Request]:
    """Every attempt of a webhook at the product, in order."""
    return asyncio.Queue()


@pytest.fixture
def next_webhook(received: asyncio.Queue[httpx.Request]) -> Callable[[], Awaitable[httpx.Request]]:
    return lambda: asyncio.wait_for(received.get(), 1)


@pytest.fixture
def pace() -> Pace:
    return HURRIED


@pytest.fixture
async def app(
    settings: Settings, pace: Pace, refusals: list[int], received: asyncio.Queue[httpx.Request]
) -> AsyncIterator[FastAPI]:
    async def product(request: httpx.Request) -> httpx.Response:
        received.put_nowait(request)
        return httpx.Response(refusals.pop(0) if refusals else 204)

    app = create_app(settings, pace, httpx.AsyncClient(transport=httpx.MockTransport(product)))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def control(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox.test") as client:
        yield client


@pytest.fixture
async def stripe(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": "Bearer sk_test_1"}
    base_url = "http://sandbox.test/stripe/v1"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url, headers=headers) as client:
        yield client


@pytest.fixture
async def dhl(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    auth = ("apUser", "dhl-password")
    base_url = "http://sandbox.test/dhl"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url, auth=auth) as client:
        yield client


@pytest.fixture
async def twilio(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    auth = ("AC1", "twilio-token")
    base_url = "http://sandbox.test/twilio/2010-04-01/Accounts/AC1"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url, auth=auth) as client:
        yield client
