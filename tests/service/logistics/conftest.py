"""Logistics reads its settings once a process; each module of tests has a house, and so settings, of its own."""

import os
import secrets
from collections.abc import Iterator

import pytest

from services.logistics import carriers, sms
from services.logistics.settings import settings


@pytest.fixture(scope="module", autouse=True)
def _own_settings() -> Iterator[None]:
    """Partners that hang are given up after half a second instead of five; webhooks may come with a token."""
    own = {"ORDERBUS_PARTNER_TIMEOUT": "0.5", "ORDERBUS_DHL_WEBHOOK_TOKEN": f"{secrets.token_hex(16)},{secrets.token_hex(16)}"}
    os.environ.update(own)
    for remembered in (settings, carriers.carriers, sms._twilio):
        remembered.cache_clear()
    yield
    for name in own:
        del os.environ[name]
