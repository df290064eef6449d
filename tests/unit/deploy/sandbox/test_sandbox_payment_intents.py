"""Stripe's synchronous charges: every token, capture and cancel, refunds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from tests.unit.deploy.sandbox.waiting import until


def a_charge(token: str = "tok_ok", amount: int = 59800, **more: str) -> dict[str, str]:
    return {
        "amount": str(amount),
        "currency": "cny",
        "payment_method_data[type]": "card",
        "payment_method_data[card][token]": token,
        "confirm": "true",
        "metadata[order_id]": "A-1",
        "metadata[payment_id]": "P-1",
        **more,
    }


def key(value: str) -> dict[str, str]:
    return {"Idempotency-Key": value}


async def test_a_good_card_is_charged_at_once(stripe: httpx.AsyncClient) -> None:
    answer = await stripe.post("/payment_intents", data=a_charge(), headers=key("k1"))

    assert answer.status_code == 200
    intent = answer.json()
    assert intent["status"] == "succeeded"
    assert (intent["amount"], intent["amount_received"], intent["currency"]) == (59800, 59800, "cny")
    assert intent["metadata"] == {"order_id": "A-1", "payment_id": "P-1"}
    assert intent["latest_charge"].startswith("ch_")
    assert (await stripe.get(f"/payment_intents/{intent['id']}")).json() == intent


async def test_a_payment_method_is_charged_as_the_token_it_is_called_like(stripe: httpx.AsyncClient) -> None:
    charge = {name: value for name, value in a_charge().items() if not name.startswith("payment_method")}
    paid = await stripe.post("/payment_intents", data=charge | {"payment_method": "pm_ok"})
    declined = await stripe.post("/payment_intents", data=charge | {"payment_method": "pm_declined"})

    assert (paid.json()["status"], paid.json()["payment_method"]) == ("succeeded", "pm_ok")
    assert (declined.status_code, declined.json()["error"]["code"]) == (402, "card_declined")


async def test_a_token_is_no_payment_method(stripe: httpx.AsyncClient) -> None:
    answer = await stripe.post("/payment_intents", data=a_charge() | {"payment_method": "tok_ok"})

    assert answer.status_code == 400
    assert "A token may not be passed in as a PaymentMethod" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("token", "decline_code"), [("tok_declined", "generic_decline"), ("tok_insufficient_funds", "insufficient_funds")]
)
async def test_a_declined_card_is_told_with_its_reason_and_the_intent(
    stripe: httpx.AsyncClient, token: str, decline_code: str
) -> None:
    answer = await stripe.post("/payment_intents", data=a_charge(token))

    assert answer.status_code == 402
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["decline_code"]) == ("card_error", "card_declined", decline_code)
    assert error["payment_intent"]["status"] == "requires_payment_method"
    assert error["payment_intent"]["amount_received"] == 0


async def test_a_decline_is_remembered_under_its_key(stripe: httpx.AsyncClient) -> None:
    first = await stripe.post("/payment_intents", data=a_charge("tok_declined"), headers=key("k1"))
    again = await stripe.post("/payment_intents", data=a_charge("tok_declined"), headers=key("k1"))

    assert (again.status_code, again.content) == (402, first.content)
    assert again.headers["idempotent-replayed"] == "true"


async def test_the_same_key_and_parameters_charge_once(stripe: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
    first = await stripe.post("/payment_intents", data=a_charge(), headers=key("k1"))
    again = await stripe.post("/payment_intents", data=a_charge(), headers=key("k1"))

    assert again.content == first.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len((await control.get("/sandbox/ledger")).json()["charges"]) == 1


async def test_the_same_key_with_other_parameters_is_refused(stripe: httpx.AsyncClient) -> None:
    await stripe.post("/payment_intents", data=a_charge(), headers=key("k1"))
    other = await stripe.post("/payment_intents", data=a_charge(amount=1), headers=key("k1"))

    assert other.status_code == 400
    assert other.json()["error"]["type"] == "idempotency_error"


async def test_a_repeat_while_the_first_is_running_is_a_conflict(stripe: httpx.AsyncClient) -> None:
    first = asyncio.create_task(stripe.post("/payment_intents", data=a_charge("tok_slow"), headers=key("k1")))
    await asyncio.sleep(0.005)
    meanwhile = await stripe.post("/payment_intents", data=a_charge("tok_slow"), headers=key("k1"))

    assert meanwhile.status_code == 409
    assert meanwhile.json()["error"]["code"] == "idempotency_key_in_use"
    assert (await first).json()["status"] == "succeeded"


async def test_refused_parameters_do_not_use_up_a_key(stripe: httpx.AsyncClient) -> None:
    refused = await stripe.post("/payment_intents", data=a_charge(currency="yuan"), headers=key("k1"))
    mended = await stripe.post("/payment_intents", data=a_charge(), headers=key("k1"))

    assert (refused.status_code, mended.status_code) == (400, 200)


async def test_a_charge_whose_answer_never_comes_is_found_under_its_key(
    stripe: httpx.AsyncClient, control: httpx.AsyncClient
) -> None:
    lost = asyncio.create_task(stripe.post("/payment_intents", data=a_charge("tok_timeout_after_charge"), headers=key("k1")))

    async def is_charged() -> bool:
        return bool((await control.get("/sandbox/ledger")).json()["charges"])

    await until(is_charged)
    again = await stripe.post("/payment_intents", data=a_charge("tok_timeout_after_charge"), headers=key("k1"))

    assert not lost.done()
    assert again.json()["status"] == "succeeded"
    assert again.headers["idempotent-replayed"] == "true"
    assert (await control.get("/sandbox/ledger")).json()["totals"]["captured"] == {"CNY": 59800}
    await lost


async def test_after_one_server_error_the_same_key_runs_afresh(stripe: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
    failed = await stripe.post("/payment_intents", data=a_charge("tok_server_error_once"), headers=key("k1"))
    charges_after_failure = (await control.get("/sandbox/ledger")).json()["charges"]
    again = await stripe.post("/payment_intents", data=a_charge("tok_server_error_once"), headers=key("k1"))

    assert (failed.status_code, failed.json()["error"]["type"]) == (500, "api_error")
    assert charges_after_failure == []
    assert (again.status_code, again.json()["status"]) == (200, "succeeded")


async def test_a_server_error_after_the_charge_is_remembered_and_a_webhook_tells(
    stripe: httpx.AsyncClient, control: httpx.AsyncClient, next_webhook: Callable[[], Awaitable[httpx.Request]]
) -> None:
    charge = a_charge("tok_server_error", capture_method="manual")
    answers = [await stripe.post("/payment_intents", data=charge, headers=key("k1")) for _ in range(2)]
    event = httpx.Response(200, content=(await next_webhook()).content).json()

    assert [answer.status_code for answer in answers] == [500, 500]
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert (event["type"], event["data"]["object"]["status"]) == ("payment_intent.amount_capturable_updated", "requires_capture")
    assert [each["amount"] for each in (await control.get("/sandbox/ledger")).json()["charges"]] == [59800]


async def test_a_charge_under_review_is_authorised_and_waits_for_a_person(stripe: httpx.AsyncClient) -> None:
    answer = await stripe.post(
        "/payment_intents", data=a_charge("tok_review", capture_method="manual") | {"expand[]": "latest_charge"}
    )

    intent = answer.json()
    assert (answer.status_code, intent["status"], intent["amount_received"]) == (200, "requires_capture", 0)
    assert intent["amount_capturable"] == 59800
    assert intent["review"].startswith("prv_")
    charge = intent["latest_charge"]
    assert (charge["outcome"]["type"], charge["outcome"]["reason"]) == ("manual_review", "elevated_risk_level")
    assert (await stripe.get(f"/charges/{charge['id']}")).json() == charge


async def test_a_charge_under_review_that_is_captured_automatically_is_taken(stripe: httpx.AsyncClient) -> None:
    intent = (await stripe.post("/payment_intents", data=a_charge("tok_review"))).json()

    assert (intent["status"], intent["amount_received"]) == ("succeeded", 59800)
    assert intent["review"].startswith("prv_")


async def test_a_charge_that_is_captured_by_hand_waits_without_a_review(stripe: httpx.AsyncClient) -> None:
    intent = (await stripe.post("/payment_intents", data=a_charge(capture_method="manual"))).json()

    assert (intent["status"], intent["amount_capturable"], intent["review"]) == ("requires_capture", 59800, None)


async def test_money_under_review_is_captured_once(stripe: httpx.AsyncClient) -> None:
    intent = (await stripe.post("/payment_intents", data=a_charge("tok_review", capture_method="manual"))).json()
    captured = await stripe.post(f"/payment_intents/{intent['id']}/capture", headers=key("k2"))
    repeated = await stripe.post(f"/payment_intents/{intent['id']}/capture", headers=key("k2"))
    again = await stripe.post(f"/payment_intents/{intent['id']}/capture", headers=key("k3"))

    assert (captured.json()["status"], captured.json()["amount_received"]) == ("succeeded", 59800)
    assert repeated.content == captured.content
    assert (again.status_code, again.json()["error"]["code"]) == (400, "payment_intent_unexpected_state")


async def test_no_more_is_captured_than_was_authorised(stripe: httpx.AsyncClient) -> None:
    intent = (await stripe.post("/payment_intents", data=a_charge(capture_method="manual"))).json()
    path = f"/payment_intents/{intent['id']}/capture"
    too_much = await stripe.post(path, data={"amount_to_capture": "59801"})
    some = await stripe.post(path, data={"amount_to_capture": "100"})

    assert too_much.status_code == 400
    assert some.json()["amount_received"] == 100


async def test_money_under_review_can_be_let_go_and_is_then_not_captured(
    stripe: httpx.AsyncClient, control: httpx.AsyncClient
) -> None:
    intent = (await stripe.post("/payment_intents", data=a_charge("tok_review", capture_method="manual"))).json()
    canceled = await stripe.post(f"/payment_intents/{intent['id']}/cancel", data={"cancellation_reason": "fraudulent"})
    captured = await stripe.post(f"/payment_intents/{intent['id']}/capture")

    assert (canceled.json()["status"], canceled.json()["cancellation_reason"]) == ("canceled", "fraudulent")
    assert captured.status_code == 400
    assert (await control.get("/sandbox/ledger")).json()["totals"]["charged"] == {"CNY": 0}


async def test_taken_money_is_refunded_not_cancelled(stripe: httpx.AsyncClient) -> None:
    intent = (await stripe.post("/payment_intents", data=a_charge())).json()
    canceled = await stripe.post(f"/payment_intents/{intent['id']}/cancel")

    assert (canceled.status_code, canceled.json()["error"]["code"]) == (400, "payment_intent_unexpected_state")


async def test_refunds_never_exceed_what_was_taken(stripe: httpx.AsyncClient) -> None:
    intent = (await stripe.post("/payment_intents", data=a_charge(amount=100))).json()
    part = await stripe.post("/refunds", data={"payment_intent": intent["id"], "amount": "60", "metadata[refund_id]": "R-1"})
    too_much = await stripe.post("/refunds", data={"payment_intent": intent["id"], "amount": "41"})
    rest = await stripe.post("/refunds", data={"payment_intent": intent["id"]})
    more = await stripe.post("/refunds", data={"payment_intent": intent["id"], "amount": "1"})

    assert (part.json()["status"], part.json()["amount"], part.json()["metadata"]) == ("succeeded", 60, {"refund_id": "R-1"})
    assert (too_much.status_code, too_much.json()["error"]["code"]) == (400, "amount_too_large")
    assert rest.json()["amount"] == 40
    assert (more.status_code, more.json()["error"]["code"]) == (400, "charge_already_refunded")
    assert (await stripe.get(f"/refunds/{part.json()['id']}")).json() == part.json()


@pytest.mark.parametrize(
    ("token", "statuses", "told", "kept"),
    [
        ("tok_refund_fails", ["succeeded", "failed"], "refund.failed", 100),
        ("tok_refund_pending", ["pending", "succeeded"], "refund.updated", 0),
        ("tok_refund_pending_fails", ["pending", "failed"], "refund.failed", 100),
    ],
)
async def test_what_a_bank_decides_on_a_refund_later_is_told_by_a_webhook(
    stripe: httpx.AsyncClient,
    control: httpx.AsyncClient,
    next_webhook: Callable[[], Awaitable[httpx.Request]],
    token: str,
    statuses: list[str],
    told: str,
    kept: int,
) -> None:
    intent = (await stripe.post("/payment_intents", data=a_charge(token, amount=100))).json()
    refund = (await stripe.post("/refunds", data={"payment_intent": intent["id"], "metadata[refund_id]": "R-1"})).json()
    event = httpx.Response(200, content=(await next_webhook()).content).json()

    now = event["data"]["object"]
    assert (event["type"], [refund["status"], now["status"]]) == (told, statuses)
    assert (now["id"], now["metadata"]) == (refund["id"], {"refund_id": "R-1"})
    assert now.get("failure_reason") == ("expired_or_canceled_card" if kept else None)
    assert (await stripe.get(f"/refunds/{refund['id']}")).json() == now
    assert [charge["refunded"] for charge in (await control.get("/sandbox/ledger")).json()["charges"]] == [100 - kept]


async def test_a_refund_that_fails_at_once_leaves_the_money_where_it_is(
    stripe: httpx.AsyncClient, control: httpx.AsyncClient
) -> None:
    intent = (await stripe.post("/payment_intents", data=a_charge("tok_refund_fails_at_once", amount=100))).json()
    refund = (await stripe.post("/refunds", data={"payment_intent": intent["id"]})).json()

    assert (refund["status"], refund["failure_reason"]) == ("failed", "expired_or_canceled_card")
    assert [charge["refunded"] for charge in (await control.get("/sandbox/ledger")).json()["charges"]] == [0]


async def test_a_refund_of_a_third_decimal_is_refused_like_a_charge(stripe: httpx.AsyncClient) -> None:
    intent = (await stripe.post("/payment_intents", data=a_charge(amount=5120, currency="kwd"))).json()
    refused = await stripe.post("/refunds", data={"payment_intent": intent["id"], "amount": "125"})

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "amount")


async def test_money_that_was_not_taken_is_not_refunded(stripe: httpx.AsyncClient) -> None:
    intent = (await stripe.post("/payment_intents", data=a_charge("tok_review", capture_method="manual"))).json()

    assert (await stripe.post("/refunds", data={"payment_intent": intent["id"]})).status_code == 400


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"amount": ""}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"amount": "-5"}, "amount"),
        ({"amount": "9.99"}, "amount"),
        ({"amount": "100000000"}, "amount"),
        ({"amount": "5124", "currency": "kwd"}, "amount"),
        ({"currency": "yuan"}, "currency"),
        ({"payment_method": "pm_unheard_of"}, "payment_method"),
        ({"payment_method": "tok_ok"}, "payment_method"),
        ({"payment_method_data[card][token]": "tok_unheard_of"}, "payment_method_data[card][token]"),
        ({"payment_method_data[card][token]": ""}, "payment_method"),
        ({"payment_method_data[type]": ""}, "payment_method_data[type]"),
        ({"confirm": "false"}, "confirm"),
        ({"capture_method": "sometimes"}, "capture_method"),
    ],
)
async def test_a_wrong_parameter_is_named(stripe: httpx.AsyncClient, change: dict[str, str], param: str) -> None:
    answer = await stripe.post("/payment_intents", data={**a_charge(), **change})

    assert answer.status_code == 400
    assert (answer.json()["error"]["type"], answer.json()["error"]["param"]) == ("invalid_request_error", param)


async def test_an_unknown_intent_is_not_found(stripe: httpx.AsyncClient) -> None:
    answer = await stripe.get("/payment_intents/pi_none")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_missing")


@pytest.mark.parametrize("authorization", ["Bearer sk_test_2", "Bearer", "Basic sk_test_1", "Basic c2tfdGVzdF8xOg==", ""])
async def test_a_wrong_key_is_turned_away(stripe: httpx.AsyncClient, authorization: str) -> None:
    answer = await stripe.post("/payment_intents", data=a_charge(), headers={"Authorization": authorization})

    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")


async def test_a_body_above_the_limit_is_turned_away(stripe: httpx.AsyncClient) -> None:
    assert (await stripe.post("/payment_intents", content=b"a" * (1024 * 1024 + 1))).status_code == 413


async def test_a_body_that_does_not_tell_its_length_is_bounded_too(stripe: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"a" * 500_000

    assert (await stripe.post("/payment_intents", content=chunks())).status_code == 413
