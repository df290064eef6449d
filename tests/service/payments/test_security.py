"""What payments refuses, and what a refusal costs."""

import hmac
import time
from hashlib import sha256
from typing import Any

import pytest

from services.payments.settings import settings
from shared.database import Database
from tests.service.house import Client
from tests.service.tokens import bearing


async def test_a_shops_token_reads_no_payments_unless_it_is_an_operators(payments: Client, order_id: str) -> None:
    for scopes, source, expected in (
        (("payments:read",), "/shops/mine", 403),
        (("payments:read", "ops:read"), "/shops/mine", 200),
        (("payments:read",), None, 200),
        (("orders:read",), None, 403),
    ):
        token = bearing(settings(), *scopes, **({"source": source} if source else {}))
        answer = await payments.get("/api/payments", params={"order_id": order_id}, headers=token)
        assert answer.status_code == expected


async def test_a_webhook_opens_a_transaction_only_when_it_is_signed(payments: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    opening = Database.transaction

    def counted(self: Database, causes: Any = ()) -> Any:
        opened.extend(cause for cause in causes if cause.type == "http.request")
        return opening(self, causes)

    monkeypatch.setattr(Database, "transaction", counted)
    payments.headers.pop("authorization")
    body = b'{"id": "evt_1", "type": "x", "data": {"object": {}}}'
    sent = int(time.time())
    key = settings().webhook_secrets[0].encode()
    right = hmac.new(key, f"{sent}.".encode() + body, sha256).hexdigest()

    for signature, expected in (
        ("", 400),
        (f"t={sent - 301},v1={right}", 400),
        (f"t={sent},v1={right[:-1]}", 400),
        (f"t={sent},v1={right}", 200),
    ):
        answer = await payments.post("/api/webhooks/stripe", content=body, headers={"stripe-signature": signature})
        assert answer.status_code == expected
        assert bool(opened) == (expected == 200)
