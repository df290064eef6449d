"""What every channel promises: asked twice is done once. Against the sandbox, spoken to as the job does."""

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from uuid_utils.compat import uuid7

from services.payments import channels, refunds
from services.payments.channels import Channel
from services.payments.channels.card import Card
from services.payments.channels.redirect import Redirect
from services.payments.channels.stripe import Stripe
from services.payments.charging import Errand, Payment, learn
from services.payments.facts import Captured, Opened, Placed, Refused, Reserved
from services.payments.settings import settings
from shared.money import Money
from shared.partners import PartnerUnknown
from tests.faults.proxy import Link, LostAnswers
from tests.service.house import Client
from tests.service.payments.customer import PRICE, charges, until

CHANNELS = ["card", "redirect", "invoice"]


@pytest.fixture
def payment(order_id: str, request: pytest.FixtureRequest) -> Payment:
    """One that the channel has not been asked about yet."""
    now = datetime.now(UTC)
    terms = Placed(PRICE, request.getfixturevalue("name"), "tok_ok")
    new = Payment(id=uuid7(), order_id=order_id, attempted_at=now)
    return learn(learn(new, terms, now), Reserved(), now)


@pytest.fixture
def channel(payments: Client, name: str) -> Channel:
    return channels.offered()[name]


async def paid(channel: Channel, payment: Payment) -> Payment:
    """The payment once the shopper has paid."""
    answer = await channel.carry_out(Errand.CHARGE, payment)

    async def is_paid() -> bool:
        nonlocal answer
        if isinstance(answer, Opened):
            opened = learn(payment, answer, datetime.now(UTC))
            answer = await channel.carry_out(Errand.ASK, opened)
        return isinstance(answer, Captured)

    await until(is_paid)
    return learn(payment, answer, datetime.now(UTC))


async def test_every_channel_is_tested_here(payments: Client) -> None:
    assert set(CHANNELS) == set(channels.offered())


@pytest.mark.parametrize("name", CHANNELS)
async def test_charging_twice_is_charging_once(channel: Channel, payment: Payment) -> None:
    first = await channel.carry_out(Errand.CHARGE, payment)

    assert await channel.carry_out(Errand.CHARGE, payment) == first


@pytest.mark.parametrize("name", CHANNELS)
async def test_what_is_captured_is_what_was_asked_for(channel: Channel, payment: Payment) -> None:
    assert (await paid(channel, payment)).ending == "captured"


@pytest.mark.parametrize("name", CHANNELS)
async def test_voiding_what_is_paid_answers_that_it_is_paid(channel: Channel, payment: Payment) -> None:
    opened = learn(payment, await channel.carry_out(Errand.CHARGE, payment), datetime.now(UTC))
    reference = (await paid(channel, payment)).reference

    asked = replace(opened, provider_id=opened.provider_id or reference)

    assert await channel.carry_out(Errand.VOID, asked) == Captured(str(reference), PRICE)


@pytest.mark.parametrize("name", CHANNELS)
async def test_refunding_twice_is_refunding_once(channel: Channel, payment: Payment) -> None:
    captured = await paid(channel, payment)
    half = refunds.Refund(id=f"{payment.order_id}:1", order_id=payment.order_id, amount=Money(amount=14950, currency="CNY"))

    first = await channel.refund(captured, half)

    assert isinstance(first, refunds.Sent)
    assert await channel.refund(captured, half) == first


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("again", [Errand.CHARGE, Errand.ASK])
@pytest.mark.parametrize("name", ["card"])
async def test_a_charge_that_was_cut_off_before_its_capture_was_answered_is_taken_once(
    sandbox: Client, channel: Channel, payment: Payment, again: Errand, arrives: bool
) -> None:
    there = urlsplit(settings().stripe_url)
    link = Link(str(there.hostname), int(there.port or 0))
    await link.open()
    link.tap = LostAnswers(b"/capture", 1, before=not arrives)
    cut = Card(Stripe.of(settings().model_copy(update={"stripe_url": f"http://127.0.0.1:{link.port}/stripe"})))

    with pytest.raises(PartnerUnknown):
        await cut.carry_out(Errand.CHARGE, payment)
    [charge] = await charges(sandbox, payment.order_id)
    answer = await channel.carry_out(again, replace(payment, provider_id=charge["payment_intent"]))
    await link.close()

    assert answer == Captured(charge["payment_intent"], PRICE)
    assert [charge["captured"] for charge in await charges(sandbox, payment.order_id)] == [PRICE.amount]


@pytest.mark.parametrize("name", ["card"])
async def test_what_0_1_0_charged_without_hearing_of_it_is_found_and_not_charged_again(
    sandbox: Client, channel: Channel, payment: Payment
) -> None:
    payment = replace(payment, placed=replace(payment.terms, token="pm_ok"))
    words = {
        "amount": str(PRICE.amount),
        "currency": "cny",
        "payment_method": "pm_ok",
        "payment_method_types[]": "card",
        "confirm": "true",
        "error_on_requires_action": "true",
        "metadata[order_id]": payment.order_id,
        "metadata[payment_id]": str(payment.id),
        "expand[]": "latest_charge",
    }
    await Stripe.of(settings()).post("/v1/payment_intents", f"charge-{payment.id}", words)

    answer = await channel.carry_out(Errand.CHARGE, payment)

    [charge] = await charges(sandbox, payment.order_id)
    assert answer == Captured(charge["payment_intent"], PRICE)


@pytest.mark.parametrize("name", ["card", "redirect"])
async def test_what_a_channel_can_never_do_is_refused_with_a_reason(channel: Channel, payment: Payment) -> None:
    hopeless = replace(payment, id=uuid7(), placed=replace(payment.terms, token="tok_no_such"))

    assert await channel.carry_out(Errand.CHARGE, hopeless) == Refused("resource_missing")


@pytest.mark.parametrize("name", ["card", "redirect"])
async def test_a_key_that_the_provider_does_not_take_says_nothing_of_the_money(channel: Channel, payment: Payment) -> None:
    captured = await paid(channel, payment)
    half = refunds.Refund(id=f"{payment.order_id}:1", order_id=payment.order_id, amount=Money(amount=14950, currency="CNY"))
    stripe = Stripe.of(settings().model_copy(update={"stripe_secret_key": SecretStr("sk_that_has_ended")}))
    shut_out = Card(stripe) if channel.name == "card" else Redirect(stripe, "https://shop.example")

    with pytest.raises(PartnerUnknown, match="HTTP 401 Invalid API Key"):
        await shut_out.carry_out(Errand.CHARGE, replace(payment, id=uuid7()))
    with pytest.raises(PartnerUnknown, match="HTTP 401 Invalid API Key"):
        await shut_out.refund(captured, half)
