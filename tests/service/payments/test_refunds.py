"""Money goes back by whoever took it, and never more than was taken."""

import asyncpg
import pytest

from shared.events.orders import RefundRequested
from shared.events.payments import PaymentCaptured, PaymentRefunded, RefundFailed
from shared.money import Money
from tests.service.house import Bus, Client, House
from tests.service.payments.customer import (
    PRICE,
    SHOP,
    a_refund_request,
    ask_for_what_is_not_answered,
    charges,
    given_back,
    order,
    payment_of,
    placed,
    reserved,
    until,
    until_asked_days_ago,
    until_due,
    until_state,
)


@pytest.mark.parametrize(("channel", "token"), [("card", "tok_ok"), ("redirect", "tok_ok"), ("invoice", None)])
async def test_a_captured_payment_is_refunded_when_orders_asks_for_it(
    payments: Client, sandbox: Client, bus: Bus, order_id: str, channel: str, token: str | None
) -> None:
    await order(bus, order_id, channel, token)
    await bus.expect(PaymentCaptured, order_id=order_id)

    await bus.publish(a_refund_request(order_id))

    refunded = await bus.expect(PaymentRefunded, order_id=order_id)
    assert (refunded.amount, refunded.refund_id) == (PRICE, f"{order_id}:cancel")
    assert [charge["refunded"] for charge in await charges(sandbox, order_id)] == ([] if token is None else [PRICE.amount])
    assert [refund["state"] for refund in (await payment_of(payments, order_id))["refunds"]] == ["refunded"]


async def test_who_asked_for_a_refund_stays_in_its_row(house: House, bus: Bus, order_id: str) -> None:
    await order(bus, order_id, "card", "tok_ok")
    await bus.publish(a_refund_request(order_id, amount=100, refund_id=f"{order_id}:r", asked_by="lin.clerk"))
    await bus.expect(PaymentRefunded, order_id=order_id)

    connection = await asyncpg.connect(house.database_url)
    try:
        row = await connection.fetchrow("SELECT asked_by, state FROM payments.refund WHERE order_id = $1", order_id)
    finally:
        await connection.close()
    assert row is not None
    assert tuple(row) == ("lin.clerk", "refunded")


async def test_a_refund_asked_for_before_anything_else_is_known_waits_and_is_sent_once(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await bus.publish(a_refund_request(order_id), a_refund_request(order_id))
    await bus.publish(reserved(order_id))
    await bus.publish(placed(order_id, "card", "tok_ok"))

    await bus.expect(PaymentRefunded, order_id=order_id)

    assert [charge["refunded"] for charge in await charges(sandbox, order_id)] == [PRICE.amount]


async def test_more_than_was_captured_is_never_refunded(payments: Client, sandbox: Client, bus: Bus, order_id: str) -> None:
    await order(bus, order_id, "card", "tok_ok")
    await bus.expect(PaymentCaptured, order_id=order_id)

    await bus.publish(*(a_refund_request(order_id, amount=20000, refund_id=f"{order_id}:{n}") for n in range(3)))

    await bus.expect(PaymentRefunded, order_id=order_id)
    await bus.expect(RefundFailed, order_id=order_id, count=2)
    assert [charge["refunded"] for charge in await charges(sandbox, order_id)] == [20000]


async def test_what_was_given_back_by_hand_is_entered_told_and_not_sent(
    payments: Client, sandbox: Client, bus: Bus, house: House, order_id: str
) -> None:
    await order(bus, order_id, "card", "tok_ok")
    await bus.expect(PaymentCaptured, order_id=order_id)
    by_hand = a_refund_request(order_id, refund_id=f"{order_id}:hand", asked_by="lin.clerk", by_hand="SEPA-1")

    await bus.publish(by_hand, by_hand)

    told = await bus.expect(PaymentRefunded, order_id=order_id)
    await bus.publish(a_refund_request(order_id, amount=1, refund_id=f"{order_id}:more"))
    await bus.expect(RefundFailed, order_id=order_id, refund_id=f"{order_id}:more")
    assert (told.refund_id, told.amount, told.reference) == (f"{order_id}:hand", PRICE, "SEPA-1")
    assert await given_back(house, order_id) == (PRICE.amount, PRICE.amount)
    assert [charge["refunded"] for charge in await charges(sandbox, order_id)] == [0]
    assert len(bus.all(PaymentRefunded, order_id=order_id)) == 1


async def test_a_refund_of_a_declined_payment_fails(payments: Client, bus: Bus, order_id: str) -> None:
    await order(bus, order_id, "card", "tok_declined")
    await bus.publish(a_refund_request(order_id))

    assert "nothing was captured" in (await bus.expect(RefundFailed, order_id=order_id)).reason


async def test_a_refund_without_an_answer_is_asked_for_until_it_comes(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await ask_for_what_is_not_answered(sandbox, bus, order_id)
    await until_due(payments, order_id)
    await sandbox.delete("/sandbox/faults")

    await bus.expect(PaymentRefunded, order_id=order_id)
    assert bus.all(RefundFailed, order_id=order_id) == []


async def test_after_an_outage_of_days_a_refund_that_was_asked_for_is_left_to_a_person(
    payments: Client, sandbox: Client, house: House, bus: Bus, order_id: str
) -> None:
    await ask_for_what_is_not_answered(sandbox, bus, order_id)
    await until_asked_days_ago(house, "refund", order_id)
    await sandbox.delete("/sandbox/faults")

    failed = await bus.expect(RefundFailed, order_id=order_id)

    assert "not asked again" in failed.reason
    assert [charge["refunded"] for charge in await charges(sandbox, order_id)] == [0]


async def test_a_strangers_word_of_another_sum_does_not_change_what_orders_asks_for_under_that_id(
    sandbox: Client, bus: Bus, house: House, order_id: str
) -> None:
    one_fen = Money(amount=1, currency="CNY")
    told = PaymentRefunded(order_id=order_id, refund_id=f"{order_id}:cancel", amount=one_fen, reference="x")
    await bus.publish(told, source="/shops/stranger")
    await until_kept(house, order_id, one_fen.amount)

    await bus.publish(a_refund_request(order_id))
    await until_kept(house, order_id, PRICE.amount)
    await order(bus, order_id, "card", "tok_ok")

    await bus.expect(PaymentRefunded, order_id=order_id, amount=PRICE)
    assert [charge["refunded"] for charge in await charges(sandbox, order_id)] == [PRICE.amount]


async def until_kept(house: House, order_id: str, amount: int) -> None:
    """Of an order that is not known yet nothing is shown."""
    connection = await asyncpg.connect(house.database_url)

    async def is_kept() -> bool:
        return bool(await connection.fetchval("SELECT amount FROM payments.refund WHERE order_id = $1", order_id) == amount)

    try:
        await until(is_kept)
    finally:
        await connection.close()


async def test_a_refund_that_the_provider_cannot_count_fails_and_says_why(
    payments: Client, sandbox: Client, bus: Bus, order_id: str
) -> None:
    await order(bus, order_id, "card", "tok_ok", total=Money(amount=5120, currency="KWD"))
    await bus.expect(PaymentCaptured, order_id=order_id)

    wanted = Money(amount=125, currency="KWD")  # a third decimal
    await bus.publish(RefundRequested(order_id=order_id, refund_id=f"{order_id}:part", amount=wanted, reason="damaged"))

    assert "no unit as small" in (await bus.expect(RefundFailed, order_id=order_id)).reason
    assert [charge["refunded"] for charge in await charges(sandbox, order_id)] == [0]


async def test_what_the_shop_collected_is_refunded_when_the_shop_says_so(payments: Client, bus: Bus, order_id: str) -> None:
    await order(bus, order_id, "alipay", collected_by=SHOP)
    await bus.publish(a_refund_request(order_id, collected_by=SHOP))

    async def awaits_shop() -> bool:
        known = await payment_of(payments, order_id)
        return [refund["state"] for refund in known.get("refunds", ())] == ["awaiting_shop"]

    await until(awaits_shop)
    told = PaymentRefunded(order_id=order_id, refund_id=f"{order_id}:cancel", amount=PRICE, reference="2026112499")
    await bus.publish(told, source=SHOP)

    async def is_refunded() -> bool:
        return [refund["reference"] for refund in (await payment_of(payments, order_id))["refunds"]] == ["2026112499"]

    await until(is_refunded)


async def test_shops_may_call_their_refunds_alike_each_is_of_its_own_order(
    payments: Client, bus: Bus, house: House, order_id: str
) -> None:
    told = {}
    for number, shop in enumerate((SHOP, "/shops/jd-7")):
        id = f"{order_id}-{number}"
        await order(bus, id, "alipay", collected_by=shop)
        await until_state(payments, id, "captured")
        told[id] = PaymentRefunded(order_id=id, refund_id="1", amount=PRICE, reference=f"{shop} 1")
        await bus.publish(told[id], source=shop)

    async def are_refunded() -> bool:
        known = [(await payment_of(payments, id))["refunds"] for id in told]
        return [[refund["reference"] for refund in each] for each in known] == [[event.reference] for event in told.values()]

    await until(are_refunded)
    connection = await asyncpg.connect(house.database_url)
    entered = "SELECT count(*) FROM payments.ledger_entry WHERE kind = 'refunded' AND order_id = any($1)"
    assert await connection.fetchval(entered, list(told)) == 2
    await connection.close()


async def test_a_refund_told_by_another_shop_is_a_dead_letter_that_says_why(
    payments: Client, bus: Bus, house: House, order_id: str
) -> None:
    await order(bus, order_id, "alipay", collected_by=SHOP)
    await until_state(payments, order_id, "captured")

    told = PaymentRefunded(order_id=order_id, refund_id="R", amount=Money(amount=1, currency="CNY"), reference="x")
    await bus.publish(told, source="/shops/jd-7")

    connection = await asyncpg.connect(house.database_url)

    async def is_buried() -> bool:
        query = "SELECT reason FROM payments.dead_letter WHERE subject = $1"
        return "/shops/jd-7 says it refunded" in (await connection.fetchval(query, order_id) or "")

    await until(is_buried)
    await connection.close()
    assert (await payment_of(payments, order_id))["refunds"] == []


async def test_the_books_cannot_be_made_to_say_what_did_not_happen(
    payments: Client, bus: Bus, house: House, order_id: str
) -> None:
    await order(bus, order_id, "invoice")
    await bus.expect(PaymentCaptured, order_id=order_id)
    connection = await asyncpg.connect(house.database_url)
    await connection.execute("SET search_path = payments")

    impossible = {
        "payment_ends_once": "UPDATE payment SET ending = 'voided', state = 'voided', reference = NULL WHERE order_id = $1",
        "never_refund_more_than_captured": "UPDATE payment SET refunding = amount + 1 WHERE order_id = $1",
        "ended_payment_has_no_errand": "UPDATE payment SET errand = 'charge', due_at = now() WHERE order_id = $1",
        "ledger_is_only_added_to": "DELETE FROM ledger_entry WHERE order_id = $1",
        "only_what_went_comes_back": "INSERT INTO ledger_return VALUES ($1, 'never sent', now())",
        "charge_is_entered_once": """
            INSERT INTO ledger_entry (kind, payment_id, order_id, amount, currency, channel, reference, at)
            SELECT kind, payment_id, order_id, amount, currency, channel, reference, at FROM ledger_entry WHERE order_id = $1
            """,
    }
    for constraint, statement in impossible.items():
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
            await connection.execute(statement, order_id)
        assert refused.value.constraint_name == constraint
    await connection.close()


async def test_payments_are_shown_to_who_may_read_them(payments: Client, order_id: str) -> None:
    assert (await payments.get("/api/payments", params={"order_id": order_id})).json() == []
    refused = await payments.get("/api/payments", params={"order_id": order_id}, headers={"authorization": "Bearer x"})
    assert refused.status_code == 401
