"""A refund that a bank returns, after all services took it for sent: the books, the order, the doctor and the audit agree."""

from deploy.doctor import Whose
from shared.events.payments import PaymentRefunded, RefundFailed
from tests.journeys.shop import Shop
from tests.journeys.test_audit import NOWHERE
from tests.journeys.test_cancelled_too_late import complaints
from tests.journeys.test_doctor import an_hour_later


def how_to_go_on(order_id: str) -> str:
    again = f"ask for the refund again (POST /api/orders/{order_id}/refunds)"
    return f"{again}, or give it back by hand and say so there (by_hand)"


async def test_a_cancelled_order_whose_money_came_back_is_held_until_it_went(shop: Shop, sku: str) -> None:
    await shop.sell(sku)
    order_id = await shop.order(sku, channel="card", token="tok_refund_fails", ship_to=NOWHERE)
    await shop.until(order_id, "held")
    await shop.tell(order_id, "cancel")
    await shop.bus.expect(PaymentRefunded, order_id=order_id)
    await shop.until(order_id, "cancelled")

    await shop.bus.expect(RefundFailed, order_id=order_id, timeout=30)

    held = await shop.until(order_id, "held")
    assert "and came back: expired_or_canceled_card" in held["held_because"][0]
    assert (held["refunded"]["amount"], held["refunds"][0]["state"]) == (0, "failed")
    assert [charge["refunded"] for charge in await shop.ledger(order_id)] == [0]
    (finding,) = await an_hour_later(shop, sku)
    assert (finding.whose, finding.next) == (Whose.PERSON, how_to_go_on(order_id))
    assert await complaints(shop, order_id) == []
    forgotten = "DELETE FROM payments.ledger_return WHERE order_id = $1"
    assert any("refunded 0, ledger 29900" in complaint for complaint in await complaints(shop, order_id, forgotten))

    said = await shop.tell(order_id, "refunds", amount=29900, reason="card closed", by_hand="SEPA-1")
    assert said.status_code == 201
    told = await shop.bus.expect(PaymentRefunded, order_id=order_id, refund_id=said.json()["refund_id"])
    settled = await shop.until(order_id, "cancelled")
    assert (told.reference, settled["refunded"]["amount"]) == ("SEPA-1", 29900)
    assert [each["by_hand"] for each in settled["refunds"] if each["state"] == "refunded"] == ["SEPA-1"]
    assert [charge["refunded"] for charge in await shop.ledger(order_id)] == [0]
    assert await complaints(shop, order_id) == []
    await shop.tell(order_id, f"refunds/{told.refund_id}/returned", reason="no such account")
    returned = await shop.bus.expect(RefundFailed, order_id=order_id, refund_id=told.refund_id)
    assert returned.reason == "it was sent as SEPA-1 and came back: no such account"
    assert (await shop.until(order_id, "held"))["refunded"]["amount"] == 0
    assert await complaints(shop, order_id) == []
    await shop.tell(order_id, "refunds", amount=29900, reason="card closed", by_hand="SEPA-2")
    await shop.until(order_id, "cancelled")
    assert await complaints(shop, order_id) == []
    sent_too = "UPDATE payments.refund SET attempted_at = now() WHERE order_id = $1 AND told_reference = 'SEPA-2'"
    assert any("went by hand (SEPA-2)" in complaint for complaint in await complaints(shop, order_id, sent_too))


async def test_a_parcel_that_has_arrived_does_not_hide_money_that_came_back(shop: Shop, sku: str) -> None:
    await shop.sell(sku)
    order_id = await shop.order(sku, channel="card", token="tok_refund_pending_fails")
    await shop.scan((await shop.pushed(order_id)).tracking_number, "delivered")
    await shop.until(order_id, "delivered")
    await shop.tell(order_id, "refunds")
    await shop.until(order_id, "refunded")

    await shop.until(order_id, "held")
    (finding,) = await an_hour_later(shop, sku)
    await shop.tell(order_id, "release")

    assert finding.next == f"{how_to_go_on(order_id)}, then release it"
    assert (await shop.ask(order_id))["status"] in ("delivered", "completed")
