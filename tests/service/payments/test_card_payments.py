"""Cards: the provider is called for committed intents, and asked until it answers."""

import asyncpg
import pytest

from shared.database import Database
from shared.events.orders import OrderCancelled, OrderReleased
from shared.events.payments import PaymentCaptured, PaymentFailed, PaymentReviewRequired, PaymentVoided
from shared.events.stock import StockReleased
from tests.service.house import Bus, Client, House
from tests.service.payments.customer import (
    PRICE,
    charges,
    order,
    payment_of,
    placed,
    reserved,
    until,
    until_asked_days_ago,
    until_state,
)


@pytest.mark.parametrize("token", ["tok_ok", "pm_ok"])
async def test_an_order_is_charged_once_it_is_placed_and_its_stock_set_aside(
    payments: Client, sandbox: Client, bus: Bus, order_id: str, token: str
) -> None:
    await order(bus, order_id, "card", token)

    captured = await bus.expect(PaymentCaptured, order_id=order_id)

    [charge] = await charges(sandbox, order_id)
    assert (captured.amount, captured.channel, captured.reference) == (PRICE, "card", charge["payment_intent"])
    assert (charge["captured"], charge["payment_id"]) == (PRICE.amount, captured.payment_id)
    assert (await payment_of(payments, order_id))["state"] == "captured"


async def test_events_that_come_twice_and_the_wrong_way_round_charge_once(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await bus.publish(reserved(order_id), reserved(order_id))
    await bus.publish(placed(order_id, "card", "tok_ok"))
    await bus.publish(placed(order_id, "card", "tok_ok"), reserved(order_id))

    await bus.expect(PaymentCaptured, order_id=order_id)

    assert len(await charges(sandbox, order_id)) == 1
    assert len(bus.all(PaymentCaptured, order_id=order_id)) == 1


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("tok_declined", "generic_decline"),
        ("tok_insufficient_funds", "insufficient_funds"),
        ("tok_no_such", "resource_missing"),
        ("pm_no_such", "resource_missing"),
    ],
)
async def test_a_declined_card_says_why(payments: Client, bus: Bus, order_id: str, token: str, reason: str) -> None:
    await order(bus, order_id, "card", token)

    assert (await bus.expect(PaymentFailed, order_id=order_id)).reason == reason


@pytest.mark.parametrize("token", ["tok_timeout_after_charge", "tok_server_error_once", "tok_slow"])
async def test_an_answer_that_does_not_come_is_asked_for_until_it_does_and_money_moves_once(
    payments: Client, sandbox: Client, bus: Bus, order_id: str, token: str
) -> None:
    await order(bus, order_id, "card", token)

    await bus.expect(PaymentCaptured, order_id=order_id, timeout=20)

    assert [charge["captured"] for charge in await charges(sandbox, order_id)] == [PRICE.amount]
    assert bus.all(PaymentFailed, order_id=order_id) == []


async def test_after_an_outage_of_days_a_charge_that_was_asked_for_is_left_to_a_person(
    payments: Client, sandbox: Client, house: House, bus: Bus, order_id: str
) -> None:
    await sandbox.post("/sandbox/faults", json={"partner": "stripe", "error_rate": 1})
    await order(bus, order_id, "card", "tok_ok")
    await until_asked_days_ago(house, "payment", order_id)
    await sandbox.delete("/sandbox/faults")

    review = await bus.expect(PaymentReviewRequired, order_id=order_id)
    assert "not asked again" in review.reasons[0]
    assert await charges(sandbox, order_id) == []
    await until_state(payments, order_id, "doubt")


async def test_a_failure_that_the_provider_keeps_ends_by_its_webhook(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await order(bus, order_id, "card", "tok_server_error")

    await bus.expect(PaymentCaptured, order_id=order_id, timeout=30)

    assert [charge["captured"] for charge in await charges(sandbox, order_id)] == [PRICE.amount]


async def test_a_failure_that_the_provider_keeps_for_a_day_is_shown_to_a_person_and_charged_once(
    payments: Client, sandbox: Client, bus: Bus, house: House, order_id: str
) -> None:
    await order(bus, order_id, "card", "tok_server_error_untold")

    async def is_charged() -> bool:
        return bool(await charges(sandbox, order_id))

    await until(is_charged)
    connection = await asyncpg.connect(house.database_url)
    await connection.execute(
        "UPDATE payments.payment SET attempted_at = attempted_at - interval '1 day' WHERE order_id = $1", order_id
    )
    await connection.close()

    await bus.expect(PaymentReviewRequired, order_id=order_id, timeout=30)
    assert (await payment_of(payments, order_id))["state"] == "doubt"
    assert [charge["captured"] for charge in await charges(sandbox, order_id)] == [0]


async def test_money_that_the_provider_holds_is_taken_once_a_person_has_released_the_order(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await order(bus, order_id, "card", "tok_review")
    review = await bus.expect(PaymentReviewRequired, order_id=order_id)
    assert review.reasons == ("elevated_risk_level",)
    assert [charge["captured"] for charge in await charges(sandbox, order_id)] == [0]

    await bus.publish(OrderReleased(order_id=order_id, released_by="wang", answers=(review.envelope.time,)))

    await bus.expect(PaymentCaptured, order_id=order_id)
    assert [charge["captured"] for charge in await charges(sandbox, order_id)] == [PRICE.amount]


async def test_money_that_the_provider_holds_is_let_go_when_the_order_is_cancelled(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await order(bus, order_id, "card", "tok_review")
    await bus.expect(PaymentReviewRequired, order_id=order_id)

    await bus.publish(OrderCancelled(order_id=order_id, reason="fraud"))

    assert (await bus.expect(PaymentVoided, order_id=order_id)).reason == "fraud"
    assert [charge["status"] for charge in await charges(sandbox, order_id)] == ["canceled"]


async def test_a_large_order_is_charged_only_after_a_person_has_looked(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await order(bus, order_id, "card", "tok_ok", unit_price=5_000_001)
    await bus.expect(PaymentReviewRequired, order_id=order_id)
    assert await charges(sandbox, order_id) == []

    await bus.publish(OrderReleased(order_id=order_id, released_by="wang"))

    await bus.expect(PaymentCaptured, order_id=order_id)


async def test_an_order_cancelled_before_its_stock_is_set_aside_is_never_charged(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await bus.publish(OrderCancelled(order_id=order_id, reason="changed my mind"))
    await bus.publish(placed(order_id, "card", "tok_ok"))
    await bus.expect(PaymentVoided, order_id=order_id)

    await bus.publish(reserved(order_id))

    await until_state(payments, order_id, "voided")
    assert await charges(sandbox, order_id) == []


async def test_a_reservation_that_runs_out_during_review_leaves_the_decision_to_a_person(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await order(bus, order_id, "card", "tok_ok", unit_price=5_000_001)
    review = await bus.expect(PaymentReviewRequired, order_id=order_id)

    await bus.publish(StockReleased(order_id=order_id, reason="expired"), source="/orderbus/inventory")
    await bus.publish(OrderReleased(order_id=order_id, released_by="wang", answers=(review.envelope.time,)))

    await bus.expect(PaymentCaptured, order_id=order_id)
    assert bus.all(PaymentVoided, order_id=order_id) == []


async def test_a_reservation_that_runs_out_before_anybody_is_asked_voids_the_charge(
    sandbox: Client, bus: Bus, database: Database, order_id: str
) -> None:
    async def is_heard() -> bool:
        return bool(await database.pool.fetchval("SELECT expired FROM payment WHERE order_id = $1", order_id))

    await bus.publish(StockReleased(order_id=order_id, reason="expired"), source="/orderbus/inventory")
    await until(is_heard)  # each type of event has a queue of its own
    await order(bus, order_id, "card", "tok_ok")

    await bus.expect(PaymentVoided, order_id=order_id)
    assert await charges(sandbox, order_id) == []


async def test_an_order_cancelled_while_its_card_is_charged_ends_as_the_provider_says(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await order(bus, order_id, "card", "tok_slow")
    await until_state(payments, order_id, "charging")
    await bus.publish(OrderCancelled(order_id=order_id, reason="changed my mind"))

    await bus.expect(PaymentCaptured, order_id=order_id)

    assert bus.all(PaymentVoided, order_id=order_id) == []


async def test_what_the_shop_collected_is_entered_and_not_charged(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await order(bus, order_id, "alipay", collected_by="/shops/taobao-42")

    await until_state(payments, order_id, "captured")

    assert (await payment_of(payments, order_id))["collected_by"] == "/shops/taobao-42"
    assert await charges(sandbox, order_id) == []
    assert bus.all(PaymentCaptured, order_id=order_id) == []


async def test_an_order_on_account_is_captured_at_once(payments: Client, sandbox: Client, bus: Bus, order_id: str) -> None:
    await order(bus, order_id, "invoice")

    captured = await bus.expect(PaymentCaptured, order_id=order_id)

    assert captured.reference == captured.payment_id
    assert await charges(sandbox, order_id) == []


async def test_a_channel_that_there_is_not_fails_the_payment(payments: Client, bus: Bus, order_id: str) -> None:
    await order(bus, order_id, "cowries")

    assert (await bus.expect(PaymentFailed, order_id=order_id)).reason == "there is no payment channel cowries"


async def test_an_order_with_nothing_to_pay_is_paid(payments: Client, sandbox: Client, bus: Bus, order_id: str) -> None:
    await order(bus, order_id, "card", "tok_ok", unit_price=0)

    await bus.expect(PaymentCaptured, order_id=order_id)

    assert await charges(sandbox, order_id) == []
