"""What every channel promises: asked twice is done once. Against the sandbox, spoken to as the job does."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from uuid_utils.compat import uuid7

from services.payments import channels, refunds
from services.payments.channels import Channel
from services.payments.charging import Errand, Payment, learn
from services.payments.facts import Captured, Opened, Placed, Refused, Reserved
from shared.money import Money
from tests.service.house import Client
from tests.service.payments.customer import PRICE, until

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


@pytest.mark.parametrize("name", ["card", "redirect"])
async def test_what_a_channel_can_never_do_is_refused_with_a_reason(channel: Channel, payment: Payment) -> None:
    hopeless = replace(payment, id=uuid7(), placed=replace(payment.terms, token="tok_no_such"))

    assert await channel.carry_out(Errand.CHARGE, hopeless) == Refused("resource_missing")
