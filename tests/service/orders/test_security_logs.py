"""What a running service prints while personal data goes through it and things fail."""

import io
import logging
import sys
from collections.abc import Iterator

import asyncpg
import pytest
import structlog

from services.orders import store
from services.orders.settings import settings
from shared import codec, redaction, telemetry
from shared.events.orders import OrderRejected
from tests.builders import a_customer, a_paid_order, an_address
from tests.service.house import Bus, Client, House
from tests.service.orders.asking import a_wish, sell
from tests.service.tokens import a_token

NAME, PHONE, STREET, EMAIL = "韩梅梅", "+8613912345678", "延安路 77 号", "meimei@example.com"
CUSTOMER = {"name": NAME, "phone": PHONE, "email": EMAIL}
SHIP_TO = {"name": NAME, "phone": PHONE, "country": "CN", "city": "杭州市", "line1": STREET}


@pytest.fixture
def printed(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Logs as a service writes them."""
    lines = io.StringIO()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "stdout", lines)
        telemetry.configure(settings().model_copy(update={"otlp_endpoint": None}), "orders")
    yield lines
    structlog.reset_defaults()
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if not isinstance(handler.formatter, redaction.Lines)]


async def test_nothing_personal_or_secret_is_printed_or_answered(
    bus: Bus, orders: Client, sku: str, order_id: str, printed: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sell(bus, orders, sku)
    wish = a_wish(sku, customer=CUSTOMER, ship_to=SHIP_TO)
    answers = []

    answers.append(await orders.post("/api/orders", json=wish | {"customer": CUSTOMER | {"name": [NAME]}}))
    answers.append(await orders.post("/api/orders", json=wish | {"lines": [{"sku": NAME, "quantity": 1}]}))
    answers.append(
        await orders.post("/api/orders", content=f'{{"name": "{NAME}", {STREET}', headers={"content-type": "application/json"})
    )
    token = a_token(settings(), "orders:write", iss="other")
    answers.append(await orders.post("/api/orders", json=wish, headers={"authorization": f"Bearer {token}"}))

    async def failing(*_: object) -> None:
        failure = asyncpg.NotNullViolationError(f"null value for {NAME}")
        failure.detail = f"Failing row contains ({NAME}, {PHONE}, {STREET})."
        raise failure

    async def failing_oddly(*_: object) -> None:
        raise ValueError(f"{NAME} {EMAIL} cannot be kept: {settings().postgres_url.get_secret_value()}")

    async def gone(*_: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError(f"lost {settings().postgres_url.get_secret_value()}")

    for failure, status in ((failing, 500), (failing_oddly, 500), (gone, 503)):
        with monkeypatch.context() as broken:
            broken.setattr(store, "insert", failure)
            answer = await orders.post("/api/orders", json=wish)
        assert answer.status_code == status
        answers.append(answer)

    poisonous = a_paid_order(order_id=order_id, customer=a_customer(**CUSTOMER), ship_to=an_address(**SHIP_TO))
    with monkeypatch.context() as broken:
        broken.setattr(store, "insert", failing_oddly)
        await bus.publish(poisonous, source="/shops/mine")
        await bus.publish_bytes(f'{{"customer": "{NAME} {PHONE}"}}'.encode(), codec.SINGLE, "order.paid")
        while "event failed" not in printed.getvalue():
            answers.append(await orders.get(f"/api/orders/{order_id}"))
    assert not bus.all(OrderRejected, order_id=order_id)

    said = printed.getvalue()
    password = settings().postgres_url.get_secret_value().split("@")[0].rpartition(":")[2]
    everything = said + "".join(answer.text for answer in answers)
    for secret in (NAME, PHONE.removeprefix("+86"), STREET, EMAIL, password, token, token.split(".")[1], "Traceback"):
        assert secret not in everything, secret
    assert said.count("request failed") == 3
    assert "NotNullViolationError" in said
    assert "test_security_logs.py" in said  # where it went wrong is still told
    assert not any(".py" in answer.text for answer in answers)
