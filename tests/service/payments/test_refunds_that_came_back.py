"""Money that was sent back to the shopper and comes back to us, as Stripe tells it."""

from typing import Any

import pytest

from shared.events.orders import RefundReturned
from shared.events.payments import PaymentCaptured, PaymentRefunded, RefundFailed
from tests.service.house import Bus, Client, House
from tests.service.payments.customer import (
    PRICE,
    WEBHOOK,
    a_refund_request,
    ask_for_what_is_not_answered,
    charges,
    given_back,
    order,
    payment_of,
    signed,
    that_it_failed,
    until_asked_days_ago,
    until_due,
)


@pytest.mark.parametrize("token", ["tok_refund_fails", "tok_refund_pending_fails"])
async def test_money_that_was_sent_and_comes_back_is_ours_again_and_is_told(
    payments: Client, sandbox: Client, bus: Bus, house: House, order_id: str, token: str
) -> None:
    await order(bus, order_id, "card", token)
    await bus.publish(a_refund_request(order_id))
    reference = (await bus.expect(PaymentRefunded, order_id=order_id)).reference
    assert await given_back(house, order_id) == (PRICE.amount, PRICE.amount)

    failed = await bus.expect(RefundFailed, order_id=order_id, timeout=20)

    assert failed.reason == f"it was sent as {reference} and came back: expired_or_canceled_card"
    assert failed.refund_id == f"{order_id}:cancel"
    assert [(each["state"], each["failure"]) for each in (await payment_of(payments, order_id))["refunds"]] == [
        ("failed", failed.reason)
    ]
    assert await given_back(house, order_id) == (0, 0)
    assert [charge["refunded"] for charge in await charges(sandbox, order_id)] == [0]


async def test_a_refund_that_the_provider_answers_has_failed_was_never_sent(
    payments: Client, sandbox: Client, bus: Bus, house: House, order_id: str
) -> None:
    await order(bus, order_id, "card", "tok_refund_fails_at_once")
    await bus.expect(PaymentCaptured, order_id=order_id)

    await bus.publish(a_refund_request(order_id))

    assert (await bus.expect(RefundFailed, order_id=order_id)).reason == "expired_or_canceled_card"
    assert bus.all(PaymentRefunded, order_id=order_id) == []
    assert await given_back(house, order_id) == (0, 0)
    assert [charge["refunded"] for charge in await charges(sandbox, order_id)] == [0]


async def test_it_can_be_asked_for_again_under_another_id_and_is_not_by_itself(
    payments: Client, sandbox: Client, bus: Bus, house: House, order_id: str
) -> None:
    await order(bus, order_id, "card", "tok_ok")
    await bus.publish(a_refund_request(order_id, amount=20000))
    reference = (await bus.expect(PaymentRefunded, order_id=order_id)).reference
    body = that_it_failed(order_id, id=reference)
    for again in (body, body, that_it_failed(order_id, "refund.updated", id=reference)):
        assert (await payments.post(WEBHOOK, content=again, headers=signed(again))).status_code == 200
    await bus.expect(RefundFailed, order_id=order_id)
    await bus.publish(a_refund_request(order_id, amount=20000))  # a repeat of the first request

    await bus.publish(a_refund_request(order_id, amount=100, refund_id=f"{order_id}:again"))

    await bus.expect(PaymentRefunded, order_id=order_id, refund_id=f"{order_id}:again")
    assert await given_back(house, order_id) == (100, 100)
    assert len(bus.all(RefundFailed, order_id=order_id)) == 1


async def test_a_refund_that_fails_before_its_answer_has_come_is_never_entered_as_sent(
    payments: Client, sandbox: Client, bus: Bus, house: House, order_id: str
) -> None:
    await ask_for_what_is_not_answered(sandbox, bus, order_id)
    await until_due(payments, order_id)
    body = that_it_failed(order_id, "charge.refund.updated")
    assert (await payments.post(WEBHOOK, content=body, headers=signed(body))).status_code == 200
    await sandbox.delete("/sandbox/faults")

    assert "re_1 and came back: failed" in (await bus.expect(RefundFailed, order_id=order_id)).reason
    assert bus.all(PaymentRefunded, order_id=order_id) == []
    assert await given_back(house, order_id) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [{"id": "re_of_another"}, {"status": "succeeded"}, {"metadata": {}}, {"metadata": {"order_id": "X", "refund_id": "X"}}],
    ids=["another refund", "succeeded", "not ours", "unknown"],
)
async def test_a_webhook_about_another_refund_changes_nothing(
    payments: Client, bus: Bus, house: House, order_id: str, change: dict[str, Any]
) -> None:
    await order(bus, order_id, "card", "tok_ok")
    await bus.publish(a_refund_request(order_id))
    reference = (await bus.expect(PaymentRefunded, order_id=order_id)).reference
    body = that_it_failed(order_id, "refund.updated", **{"id": reference} | change)

    answer = await payments.post(WEBHOOK, content=body, headers=signed(body))

    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert await given_back(house, order_id) == (PRICE.amount, PRICE.amount)
    assert bus.all(RefundFailed, order_id=order_id) == []


async def test_a_transfer_that_the_bank_returned_is_taken_back_once_and_the_money_may_go_anew(
    payments: Client, sandbox: Client, bus: Bus, house: House, order_id: str
) -> None:
    await order(bus, order_id, "card", "tok_ok")
    by_hand = a_refund_request(order_id, refund_id=f"{order_id}:hand", by_hand="SEPA-1")
    await bus.publish(by_hand)
    await bus.expect(PaymentRefunded, order_id=order_id, reference="SEPA-1")
    about = {"order_id": order_id, "refund_id": f"{order_id}:hand", "reference": "SEPA-1"}
    returned = RefundReturned.model_validate(about | {"reason": "no such account", "said_by": "lin.clerk"})

    await bus.publish(returned, returned)

    failed = await bus.expect(RefundFailed, order_id=order_id, refund_id=f"{order_id}:hand")
    assert failed.reason == "it was sent as SEPA-1 and came back: no such account"
    assert await given_back(house, order_id) == (0, 0)
    await bus.publish(a_refund_request(order_id, refund_id=f"{order_id}:again"))
    await bus.expect(PaymentRefunded, order_id=order_id, refund_id=f"{order_id}:again")
    assert await given_back(house, order_id) == (PRICE.amount, PRICE.amount)
    assert [charge["refunded"] for charge in await charges(sandbox, order_id)] == [PRICE.amount]
    assert len(bus.all(RefundFailed, order_id=order_id)) == 1


async def test_what_was_sent_without_a_word_and_entered_by_hand_may_come_back(
    payments: Client, sandbox: Client, bus: Bus, house: House, order_id: str
) -> None:
    await ask_for_what_is_not_answered(sandbox, bus, order_id)
    await until_asked_days_ago(house, "refund", order_id)
    await sandbox.delete("/sandbox/faults")
    await bus.expect(RefundFailed, order_id=order_id)
    await bus.publish(a_refund_request(order_id, refund_id=f"{order_id}:hand", by_hand="re_1"))
    await bus.expect(PaymentRefunded, order_id=order_id, reference="re_1")
    body = that_it_failed(order_id)

    assert (await payments.post(WEBHOOK, content=body, headers=signed(body))).status_code == 200

    assert "re_1 and came back" in (await bus.expect(RefundFailed, order_id=order_id, refund_id=f"{order_id}:hand")).reason
    assert await given_back(house, order_id) == (0, 0)
