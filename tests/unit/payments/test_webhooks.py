"""A webhook is believed only when Stripe signed it just now."""

import hmac
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
import pytest

from services.payments.channels.webhooks import BadSignature, NotAWebhook, OfPayment, OfRefund, read, verify
from services.payments.facts import Answer, Captured, Closed, Opened, Refused
from services.payments.refunds import Returned
from tests.unit.payments.builders import NOW, PRICE

BODY = b'{"id":"evt_1"}'
PAYMENT = UUID(int=7)


def signature(secret: str = "whsec_1", body: bytes = BODY, age: timedelta = timedelta()) -> str:
    t = int((NOW - age).timestamp())
    return f"t={t},v1={hmac.new(secret.encode(), b'%d.%s' % (t, body), sha256).hexdigest()}"


def a_webhook(type: str = "checkout.session.completed", **session: Any) -> bytes:
    object = {
        "id": "cs_1",
        "client_reference_id": str(PAYMENT),
        "status": "complete",
        "payment_status": "paid",
        "payment_intent": "pi_1",
        "amount_total": PRICE.amount,
        "currency": "cny",
        "url": None,
    }
    return orjson.dumps({"id": "evt_1", "type": type, "data": {"object": object | session}})


def of_an_intent(type: str = "payment_intent.succeeded", **intent: Any) -> bytes:
    object = {
        "id": "pi_1",
        "metadata": {"order_id": "T-1", "payment_id": str(PAYMENT)},
        "status": "succeeded",
        "amount_received": PRICE.amount,
        "currency": "cny",
        "latest_charge": "ch_1",
    }
    return orjson.dumps({"id": "evt_1", "type": type, "data": {"object": object | intent}})


def of_a_refund(type: str = "refund.failed", **refund: Any) -> bytes:
    object = {
        "id": "re_1",
        "metadata": {"order_id": "T-1", "refund_id": "T-1:cancel"},
        "status": "failed",
        "failure_reason": "expired_or_canceled_card",
    }
    return orjson.dumps({"id": "evt_1", "type": type, "data": {"object": object | refund}})


def test_a_webhook_signed_with_our_secret_is_believed() -> None:
    verify(signature(), BODY, ["whsec_1"], NOW)
    verify(signature(age=timedelta(minutes=5)), BODY, ["whsec_1"], NOW)


def test_while_the_secret_is_rotated_either_is_believed() -> None:
    verify(signature("whsec_old"), BODY, ["whsec_new", "whsec_old"], NOW)
    verify(signature("whsec_new") + ",v1=" + "0" * 64, BODY, ["whsec_new"], NOW)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "t=,v1=",
        "v1=" + "0" * 64,
        f"t={int(NOW.timestamp())}",
        f"t={int(NOW.timestamp())},v1=é",
        f"t={int(NOW.timestamp())},v0=" + signature().partition("v1=")[2],
        f"t={'9' * 400},v1=" + "0" * 64,
        signature("whsec_other"),
        signature(body=b"{}"),
        signature(age=timedelta(minutes=5, seconds=1)),
        signature(age=-timedelta(minutes=5, seconds=1)),
    ],
)
def test_anything_else_is_refused(given: str) -> None:
    with pytest.raises(BadSignature):
        verify(given, BODY, ["whsec_1"], NOW)


def test_nothing_is_believed_when_no_secret_is_set() -> None:
    with pytest.raises(BadSignature):
        verify(signature(""), BODY, [], NOW)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (a_webhook(), Captured("pi_1", PRICE)),
        (a_webhook("checkout.session.async_payment_succeeded"), Captured("pi_1", PRICE)),
        (a_webhook("checkout.session.async_payment_failed", payment_status="unpaid"), Refused("payment_failed")),
        (a_webhook("checkout.session.expired", status="expired", payment_status="unpaid"), Closed()),
        (a_webhook(payment_status="unpaid"), Opened("cs_1")),
        (of_an_intent(), Captured("pi_1", PRICE)),
        (of_an_intent("payment_intent.amount_capturable_updated", status="requires_capture"), Opened("pi_1")),
    ],
    ids=["completed", "succeeded", "failed", "expired", "completed, not paid yet", "taken", "authorised"],
)
def test_a_webhook_says_what_became_of_the_payment(body: bytes, answer: Answer) -> None:
    assert read(body).told == OfPayment(PAYMENT, answer)


def test_what_we_did_not_ask_to_hear_is_ignored() -> None:
    assert read(a_webhook("customer.created")).told is None
    assert read(a_webhook(client_reference_id="somebody-elses")).told is None
    assert read(a_webhook(client_reference_id=None)).told is None
    assert read(of_an_intent(metadata={})).told is None
    assert read(of_an_intent(metadata={"payment_id": "somebody-elses"})).told is None
    assert read(of_an_intent("payment_intent.payment_failed", status="requires_payment_method")).told is None


@pytest.mark.parametrize("type", ["refund.failed", "refund.updated", "charge.refund.updated"])
@pytest.mark.parametrize(
    ("refund", "reason"),
    [
        ({}, "expired_or_canceled_card"),
        ({"failure_reason": None}, "failed"),
        ({"status": "canceled", "failure_reason": None}, "canceled"),
    ],
)
def test_a_webhook_says_that_a_refund_came_back(type: str, refund: dict[str, Any], reason: str) -> None:
    assert read(of_a_refund(type, **refund)).told == OfRefund(("T-1", "T-1:cancel"), Returned("re_1", reason))


@pytest.mark.parametrize(
    "refund",
    [
        *({"status": status} for status in ("pending", "requires_action", "succeeded", None)),
        *({"metadata": others} for others in (None, {}, {"order_id": "T-1"}, {"order_id": "T-1", "refund_id": None})),
    ],
)
def test_a_refund_that_goes_on_its_way_or_is_not_ours_is_ignored(refund: dict[str, Any]) -> None:
    assert read(of_a_refund("refund.updated", **refund)).told is None


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "data"),
        (b"[]", "data"),
        (b"{}", "id"),
        (b'{"id":1,"type":"checkout.session.completed","data":{}}', "id"),
        (b'{"id":"evt_\\u0000","type":"checkout.session.completed","data":{"object":{}}}', "id"),
        (b'{"id":"evt_1","type":[],"data":{"object":{}}}', "type"),
        (b'{"id":"evt_1","type":"customer.created","data":{"object":[]}}', "data.object"),
        (b'{"id":"evt_1","type":"checkout.session.completed","data":{"object":{}}}', "data.object"),
        (a_webhook(currency=5), "data.object"),
        (a_webhook(amount_total={}), "data.object"),
        (of_an_intent(metadata=None), "data.object"),
        (of_an_intent(amount_received={}), "data.object"),
        (b'{"id":"evt_1","type":"refund.failed","data":{"object":{"status":"failed"}}}', "data.object"),
    ],
)
def test_a_signed_body_that_is_no_event_is_refused_and_told_where(body: bytes, where: str) -> None:
    with pytest.raises(NotAWebhook, match=f"{where}: ") as refused:
        read(body)

    assert "Error" not in str(refused.value)
