"""The shopper pays on the provider's page; the webhook may come twice, late, early, or not at all."""

from typing import Any
from uuid import uuid4

import orjson
import pytest

from shared.events.orders import OrderCancelled
from shared.events.payments import (
    PaymentActionRequired,
    PaymentCaptured,
    PaymentFailed,
    PaymentReviewRequired,
    PaymentVoided,
)
from shared.events.stock import StockReleased
from tests.service.house import Bus, Client
from tests.service.payments.customer import PRICE, WEBHOOK, charges, order, payment_of, signed, until


def a_webhook(payment_id: str, type: str = "checkout.session.completed", **session: Any) -> bytes:
    """As Stripe would write it."""
    paid = {
        "id": "cs_1",
        "client_reference_id": payment_id,
        "status": "complete",
        "payment_status": "paid",
        "payment_intent": f"pi_{payment_id}",
        "amount_total": PRICE.amount,
        "currency": "cny",
    }
    return orjson.dumps({"id": f"evt_{uuid4().hex}", "type": type, "data": {"object": paid | session}})


@pytest.mark.parametrize(
    "token",
    [
        *("tok_ok", "tok_webhook_twice", "tok_webhook_early", "tok_webhook_late", "tok_webhook_never"),
        *("tok_timeout_after_charge", "tok_server_error_once", "tok_slow"),
    ],
)
async def test_the_payment_is_captured_once_however_the_webhook_comes(
    payments: Client, sandbox: Client, bus: Bus, order_id: str, token: str
) -> None:
    await order(bus, order_id, "redirect", token)

    captured = await bus.expect(PaymentCaptured, order_id=order_id, timeout=30)

    [charge] = await charges(sandbox, order_id)
    assert (captured.reference, captured.amount) == (charge["payment_intent"], PRICE)
    assert len(bus.all(PaymentCaptured, order_id=order_id)) == 1


async def test_the_shopper_is_told_where_to_pay_and_pays_there(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await order(bus, order_id, "redirect", "tok_manual")
    page = (await bus.expect(PaymentActionRequired, order_id=order_id)).url
    assert await charges(sandbox, order_id) == []

    await sandbox.post(str(page), data={"choice": "pay"})

    await bus.expect(PaymentCaptured, order_id=order_id)


async def test_a_shopper_whose_card_is_declined_may_pay_with_another(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await order(bus, order_id, "redirect", "tok_declined")
    page = (await bus.expect(PaymentActionRequired, order_id=order_id)).url

    async def is_declined() -> bool:
        return [charge["status"] for charge in await charges(sandbox, order_id)] == ["requires_payment_method"]

    await until(is_declined)
    await sandbox.post(str(page), data={"choice": "pay"})

    await bus.expect(PaymentCaptured, order_id=order_id)
    assert bus.all(PaymentFailed, order_id=order_id) == []


async def test_a_debit_that_fails_fails_the_payment(payments: Client, bus: Bus, order_id: str) -> None:
    await order(bus, order_id, "redirect", "tok_debit_failed")

    await bus.expect(PaymentFailed, order_id=order_id)


async def test_a_page_not_paid_before_the_order_is_cancelled_is_closed(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await order(bus, order_id, "redirect", "tok_manual")
    page = (await bus.expect(PaymentActionRequired, order_id=order_id)).url

    await bus.publish(OrderCancelled(order_id=order_id, reason="changed my mind"))

    await bus.expect(PaymentVoided, order_id=order_id)
    await sandbox.post(str(page), data={"choice": "pay"})
    assert await charges(sandbox, order_id) == []
    assert bus.all(PaymentFailed, order_id=order_id) == []


async def test_a_shopper_quicker_than_the_end_of_the_reservation_has_paid(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await order(bus, order_id, "redirect", "tok_webhook_never")
    await bus.expect(PaymentActionRequired, order_id=order_id)

    async def has_paid() -> bool:
        return bool(await charges(sandbox, order_id))

    await until(has_paid)
    await bus.publish(StockReleased(order_id=order_id, reason="expired"), source="/orderbus/inventory")

    await bus.expect(PaymentCaptured, order_id=order_id)
    assert bus.all(PaymentVoided, order_id=order_id) == []


@pytest.mark.parametrize("changed", [{"amount_total": 1}, {"currency": "jpy"}], ids=["amount", "currency"])
async def test_a_webhook_about_other_money_is_looked_at_by_a_person_and_captures_nothing(
    payments: Client, bus: Bus, order_id: str, changed: dict[str, Any]
) -> None:
    await order(bus, order_id, "redirect", "tok_manual")
    payment_id = (await bus.expect(PaymentActionRequired, order_id=order_id)).payment_id
    body = a_webhook(payment_id, **changed)

    response = await payments.post(WEBHOOK, content=body, headers=signed(body))

    assert response.status_code == 200
    await bus.expect(PaymentReviewRequired, order_id=order_id)
    assert (await payment_of(payments, order_id))["state"] == "doubt"


async def test_a_forged_late_or_altered_webhook_is_refused_and_changes_nothing(payments: Client, bus: Bus, order_id: str) -> None:
    await order(bus, order_id, "redirect", "tok_manual")
    payment_id = (await bus.expect(PaymentActionRequired, order_id=order_id)).payment_id
    body = a_webhook(payment_id)

    forged = await payments.post(WEBHOOK, content=body, headers={"stripe-signature": "t=1,v1=00"})
    unsigned = await payments.post(WEBHOOK, content=body)
    late = await payments.post(WEBHOOK, content=body, headers=signed(body, age=301))
    altered = await payments.post(WEBHOOK, content=body + b" ", headers=signed(body))

    for answer in (forged, unsigned, late, altered):
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await payment_of(payments, order_id))["state"] == "action_required"


async def test_the_same_webhook_twice_captures_once(payments: Client, bus: Bus, order_id: str) -> None:
    await order(bus, order_id, "redirect", "tok_manual")
    body = a_webhook((await bus.expect(PaymentActionRequired, order_id=order_id)).payment_id)

    for _ in range(2):
        assert (await payments.post(WEBHOOK, content=body, headers=signed(body))).status_code == 200

    await bus.expect(PaymentCaptured, order_id=order_id)
    assert (await payment_of(payments, order_id))["reference"].startswith("pi_")


@pytest.mark.parametrize("reference", ["0198a0c0-0000-7000-8000-000000000000", "somebody-elses", None])
async def test_a_webhook_about_a_session_that_is_not_ours_is_accepted_and_ignored(
    payments: Client, reference: str | None
) -> None:
    body = a_webhook("x", client_reference_id=reference)

    request = payments.build_request("POST", WEBHOOK, content=body, headers=signed(body))
    del request.headers["authorization"]

    response = await payments.send(request)

    assert (response.status_code, response.json()) == (200, {"received": True})
