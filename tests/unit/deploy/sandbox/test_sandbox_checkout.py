"""Stripe's checkout: the shopper pays elsewhere, and a signed webhook tells."""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable

import httpx
import pytest

from deploy.sandbox.pace import Pace
from tests.unit.deploy.sandbox.waiting import until

NextWebhook = Callable[[], Awaitable[httpx.Request]]


def a_checkout(token: str | None = "tok_ok", **more: str) -> dict[str, str]:
    return {
        "mode": "payment",
        "client_reference_id": "A-1",
        "success_url": "https://shop.test/thanks?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.test/basket",
        "line_items[0][price_data][currency]": "cny",
        "line_items[0][price_data][unit_amount]": "29900",
        "line_items[0][price_data][product_data][name]": "降噪无线耳机",
        "line_items[0][quantity]": "2",
        "metadata[payment_id]": "P-1",
        **({"metadata[token]": token} if token else {}),
        **more,
    }


async def opened(stripe: httpx.AsyncClient, token: str | None = "tok_ok") -> dict[str, object]:
    answer = await stripe.post("/checkout/sessions", data=a_checkout(token))
    assert answer.status_code == 200, answer.text
    session: dict[str, object] = answer.json()
    return session


async def until_paid(stripe: httpx.AsyncClient, session: dict[str, object]) -> None:
    async def is_paid() -> bool:
        now = (await stripe.get(f"/checkout/sessions/{session['id']}")).json()
        return bool(now["payment_status"] == "paid")

    await until(is_paid)


async def webhooks_in_the_end(control: httpx.AsyncClient) -> dict[str, int]:
    """What became of them, once there are some and none is under way."""
    counts: dict[str, int] = {}

    async def are_done() -> bool:
        counts.update((await control.get("/sandbox/ledger")).json()["webhooks"])
        return counts["pending"] == 0 and any(counts.values())

    await until(are_done)
    return counts


async def test_a_new_session_invites_to_pay(stripe: httpx.AsyncClient) -> None:
    session = await opened(stripe, "tok_manual")

    assert (session["status"], session["payment_status"], session["payment_intent"]) == ("open", "unpaid", None)
    assert (session["amount_total"], session["currency"], session["client_reference_id"]) == (59800, "cny", "A-1")
    assert session["url"] == f"http://sandbox.test/stripe/pay/{session['id']}"


async def test_the_shopper_pays_and_a_signed_event_tells(stripe: httpx.AsyncClient, next_webhook: NextWebhook) -> None:
    session = await opened(stripe)
    webhook = await next_webhook()

    fields = dict(part.split("=", 1) for part in webhook.headers["stripe-signature"].split(","))
    signed = fields["t"].encode() + b"." + webhook.content
    assert fields["v1"] == hmac.new(b"whsec_stripe", signed, hashlib.sha256).hexdigest()

    assert str(webhook.url) == "http://payments.test/stripe"
    now = (await stripe.get(f"/checkout/sessions/{session['id']}")).json()
    event = httpx.Response(200, content=webhook.content).json()
    assert (event["object"], event["type"]) == ("event", "checkout.session.completed")
    assert event["data"]["object"] == now
    assert (now["status"], now["payment_status"], now["url"]) == ("complete", "paid", None)

    intent = (await stripe.get(f"/payment_intents/{now['payment_intent']}")).json()
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 59800)
    assert intent["metadata"]["order_id"] == "A-1"


async def test_a_declined_card_leaves_the_session_open_and_nobody_tells(
    stripe: httpx.AsyncClient, control: httpx.AsyncClient, received: asyncio.Queue[httpx.Request], next_webhook: NextWebhook
) -> None:
    session = await opened(stripe, "tok_declined")

    async def is_tried() -> bool:
        return bool((await stripe.get(f"/checkout/sessions/{session['id']}")).json()["payment_intent"])

    await until(is_tried)
    declined = (await stripe.get(f"/checkout/sessions/{session['id']}")).json()
    intent = (await stripe.get(f"/payment_intents/{declined['payment_intent']}")).json()

    assert received.empty()
    assert (declined["status"], declined["payment_status"], intent["status"]) == ("open", "unpaid", "requires_payment_method")

    await control.post(f"/stripe/pay/{session['id']}", data={"choice": "pay"})
    event = httpx.Response(200, content=(await next_webhook()).content).json()

    assert (event["type"], event["data"]["object"]["payment_intent"]) == ("checkout.session.completed", intent["id"])
    assert (await control.get("/sandbox/ledger")).json()["totals"]["captured"] == {"CNY": 59800}


async def test_a_debit_that_fails_is_told(stripe: httpx.AsyncClient, next_webhook: NextWebhook) -> None:
    session = await opened(stripe, "tok_debit_failed")
    event = httpx.Response(200, content=(await next_webhook()).content).json()

    assert event["type"] == "checkout.session.async_payment_failed"
    assert event["data"]["object"]["id"] == session["id"]
    assert event["data"]["object"]["payment_status"] == "unpaid"


async def test_the_same_event_may_come_twice(stripe: httpx.AsyncClient, next_webhook: NextWebhook) -> None:
    await opened(stripe, "tok_webhook_twice")

    assert (await next_webhook()).content == (await next_webhook()).content


async def test_the_webhook_may_come_before_the_answer(stripe: httpx.AsyncClient, received: asyncio.Queue[httpx.Request]) -> None:
    session = await opened(stripe, "tok_webhook_early")

    assert received.qsize() == 1
    assert session["status"] == "open"
    assert (await stripe.get(f"/checkout/sessions/{session['id']}")).json()["payment_status"] == "paid"


async def test_a_late_webhook_leaves_time_to_ask_first(
    stripe: httpx.AsyncClient, received: asyncio.Queue[httpx.Request], next_webhook: NextWebhook
) -> None:
    session = await opened(stripe, "tok_webhook_late")

    await until_paid(stripe, session)

    assert received.empty()
    await next_webhook()


async def test_a_webhook_that_never_comes_must_be_asked_for(
    stripe: httpx.AsyncClient, received: asyncio.Queue[httpx.Request]
) -> None:
    session = await opened(stripe, "tok_webhook_never")

    await until_paid(stripe, session)
    await asyncio.sleep(0.05)

    assert received.empty()


async def test_a_webhook_is_sent_again_until_it_is_taken(
    stripe: httpx.AsyncClient, refusals: list[int], next_webhook: NextWebhook, control: httpx.AsyncClient
) -> None:
    refusals += [500, 404]
    await opened(stripe)
    attempts = [await next_webhook() for _ in range(3)]

    assert len({attempt.content for attempt in attempts}) == 1
    assert await webhooks_in_the_end(control) == {"delivered": 1, "pending": 0, "abandoned": 0}


async def test_a_webhook_that_nobody_ever_takes_is_abandoned(
    stripe: httpx.AsyncClient, refusals: list[int], control: httpx.AsyncClient
) -> None:
    refusals += [500] * 1000
    await opened(stripe)

    assert await webhooks_in_the_end(control) == {"delivered": 0, "pending": 0, "abandoned": 1}


@pytest.mark.parametrize("pace", [Pace(shopper=0.5)])
async def test_an_expired_session_can_no_longer_be_paid(
    stripe: httpx.AsyncClient, next_webhook: NextWebhook, control: httpx.AsyncClient
) -> None:
    session = await opened(stripe)
    expired = await stripe.post(f"/checkout/sessions/{session['id']}/expire")
    event = httpx.Response(200, content=(await next_webhook()).content).json()
    await asyncio.sleep(0.6)  # the shopper has come

    assert (expired.status_code, expired.json()["status"]) == (200, "expired")
    assert event["type"] == "checkout.session.expired"
    assert (await control.get("/sandbox/ledger")).json()["charges"] == []


async def test_a_paid_session_cannot_be_expired(stripe: httpx.AsyncClient, next_webhook: NextWebhook) -> None:
    session = await opened(stripe)
    await next_webhook()

    assert (await stripe.post(f"/checkout/sessions/{session['id']}/expire")).status_code == 400


async def test_a_session_whose_answer_is_lost_is_found_under_its_key(stripe: httpx.AsyncClient) -> None:
    wanted = a_checkout("tok_timeout_after_charge")
    headers = {"Idempotency-Key": "k1"}
    lost = asyncio.create_task(stripe.post("/checkout/sessions", data=wanted, headers=headers))
    await asyncio.sleep(0.01)  # both go the same way: the second cannot overtake the first
    again = await stripe.post("/checkout/sessions", data=wanted, headers=headers)

    assert not lost.done()
    assert again.headers["idempotent-replayed"] == "true"
    assert (await lost).json()["id"] == again.json()["id"]


async def test_a_person_may_be_declined_on_the_page_and_pay_after_that(
    stripe: httpx.AsyncClient, control: httpx.AsyncClient, next_webhook: NextWebhook
) -> None:
    session = await opened(stripe, None)
    page = f"/stripe/pay/{session['id']}"
    declined = await control.post(page, data={"choice": "decline"})
    asks_again = await control.get(page)
    paid = await control.post(page, data={"choice": "pay"})
    await next_webhook()

    assert (declined.status_code, declined.headers["location"]) == (303, "https://shop.test/basket")
    assert "<button" in asks_again.text
    assert (paid.status_code, paid.headers["location"]) == (303, f"https://shop.test/thanks?session={session['id']}")
    assert "complete, paid" in (await control.get(page)).text


async def test_a_reference_is_shown_as_text_not_as_markup(stripe: httpx.AsyncClient, control: httpx.AsyncClient) -> None:
    wanted = a_checkout(None, client_reference_id="<script>alert(1)</script>")
    session = (await stripe.post("/checkout/sessions", data=wanted)).json()

    assert "<script>" not in (await control.get(f"/stripe/pay/{session['id']}")).text


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"metadata[token]": "tok_unheard_of"}, "metadata[token]"),
        ({"success_url": "javascript:alert(1)"}, "success_url"),
        ({"line_items[0][quantity]": "0"}, "line_items[0][quantity]"),
        ({"mode": "subscription"}, "mode"),
        (
            {
                "line_items[1][price_data][currency]": "usd",
                "line_items[1][price_data][unit_amount]": "1",
                "line_items[1][price_data][product_data][name]": "Cable",
                "line_items[1][quantity]": "1",
            },
            "line_items",
        ),
    ],
)
async def test_a_wrong_checkout_parameter_is_named(stripe: httpx.AsyncClient, change: dict[str, str], param: str) -> None:
    answer = await stripe.post("/checkout/sessions", data={**a_checkout(), **change})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
