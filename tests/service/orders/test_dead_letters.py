"""What could not be handled is seen, mended, replayed once or given up, by whoever may, and that stays on record."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest

from shared import codec
from shared.events.orders import OrderPlaced
from tests.builders import a_paid_order
from tests.service.house import Bus, Client, House
from tests.service.orders.asking import sell
from tests.service.orders.letters import (
    PATH,
    a_refund,
    administrator,
    bury,
    decide,
    give_up,
    letter_about,
    listed,
    on_the_wire,
    publish_without,
    subjects,
    token,
    until_state,
    whole,
)


async def a_letter(bus: Bus, orders: Client, order_id: str, source: str = "/shops/a") -> str:
    """One shop says it refunded what another sold; the letter's id."""
    await bus.publish(a_paid_order(order_id=order_id), source="/shops/owner")
    while (await orders.get(f"/api/orders/{order_id}")).status_code == 404:
        await asyncio.sleep(0.02)
    await bus.publish(a_refund(order_id), source=source)
    return str((await letter_about(orders, order_id))["id"])


async def an_early_letter(bus: Bus, orders: Client, order_id: str) -> str:
    """Payments says that money went back of which orders has not heard that it came; the letter's id."""
    await bus.publish(a_refund(order_id), source="/orderbus/payments")
    return str((await letter_about(orders, order_id))["id"])


async def refunded(orders: Client, order_id: str) -> int:
    return int((await orders.get(f"/api/orders/{order_id}")).json()["refunded"]["amount"])


async def test_a_letter_tells_all_that_an_operator_needs(bus: Bus, orders: Client, order_id: str) -> None:
    letter = await whole(orders, await a_letter(bus, orders, order_id))

    assert letter["reason"].startswith("NotTheirsToSay: /shops/a cannot refund")
    assert (letter["type"], letter["source"], letter["subject"]) == ("payment.refunded", "/shops/a", order_id)
    assert letter["event"]["data"]["order_id"] == order_id
    assert letter["event"]["id"] == letter["event_id"]
    assert "Traceback" in letter["stack"]
    assert letter["attempts"] >= 1
    assert letter["first_failed_at"] <= letter["last_failed_at"]
    assert letter["decisions"] == []


async def test_letters_are_found_by_id_type_reason_and_state(bus: Bus, orders: Client, order_id: str) -> None:
    id = await a_letter(bus, orders, order_id)
    other = await a_letter(bus, orders, f"{order_id}-2")

    assert subjects(await listed(orders, id=id)) == [order_id]
    assert subjects(await listed(orders, id=[id, other])) == [order_id, f"{order_id}-2"]
    assert await listed(orders, id=id, type="order.paid") == []
    assert subjects(await listed(orders, id=id, reason="cannot REFUND")) == [order_id]
    assert await listed(orders, id=id, reason="%") == []
    assert await listed(orders, id=id, state=["handled", "discarded"]) == []


async def test_letters_come_in_pages_and_one_that_is_tried_again_meanwhile_is_on_its_page(
    house: House, bus: Bus, orders: Client, order_id: str
) -> None:
    ids = [await a_letter(bus, orders, f"{order_id}-{n}") for n in range(3)]
    for id in ids:
        await bury(house, id)
    asked: dict[str, Any] = {"id": ids, "page_size": 2}

    first = (await orders.get(PATH, params={**asked, "page": 1})).json()
    await administrator(house, "UPDATE dead_letter SET last_failed_at = clock_timestamp() WHERE id = $1", ids[0])
    second = (await orders.get(PATH, params={**asked, "page": 2})).json()

    assert (first["next_page"], second["next_page"]) == (2, None)
    assert [letter["id"] for letter in first["letters"] + second["letters"]] == ids[::-1]


async def test_letters_are_counted_by_type_and_by_what_their_reasons_have_in_common(
    bus: Bus, orders: Client, order_id: str
) -> None:
    ids = [await a_letter(bus, orders, f"{order_id}-{n}", source=f"/shops/{order_id}-{n}") for n in range(2)]

    (group,) = (await orders.get(f"{PATH}/groups", params={"id": ids})).json()["groups"]

    assert (group["type"], group["count"], group["retrying"]) == ("payment.refunded", 2, 2)
    assert group["reason"].startswith("NotTheirsToSay: … cannot refund")
    assert group["example"] in ids
    assert len(await listed(orders, id=ids, reason="… cannot refund")) == 2


async def test_a_replay_after_the_cause_is_mended_takes_effect_once_however_often_it_is_asked_for(
    house: House, bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    id = await an_early_letter(bus, orders, order_id)
    await bury(house, id)
    await bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/a")
    await bus.expect(OrderPlaced, order_id=order_id)
    assert await refunded(orders, order_id) == 0

    answers = await asyncio.gather(*(decide(orders, "replay", id, why=f"the order is there, {n}") for n in range(5)))

    letter = await until_state(orders, id, "handled")
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len(letter["decisions"]) == [answer.status_code for answer in answers].count(200) >= 1
    assert await refunded(orders, order_id) == 100
    events = (await orders.get(f"/api/orders/{order_id}/timeline")).json()["events"]
    assert [event["event"] for event in events].count("payment.refunded") == 1


async def test_a_replay_starts_the_attempts_anew(house: House, bus: Bus, orders: Client, order_id: str) -> None:
    id = await a_letter(bus, orders, order_id)
    await bury(house, id)

    await decide(orders, "replay", id)

    while (letter := await whole(orders, id))["last_failed_at"] == letter["first_failed_at"]:
        await asyncio.sleep(0.02)
    assert letter["state"] == "retrying"
    assert letter["attempts"] < 6


async def test_who_decided_what_and_why_is_told_with_the_letter(bus: Bus, orders: Client, order_id: str) -> None:
    id = await a_letter(bus, orders, order_id)

    answer = await orders.post(f"{PATH}/discard", json={"ids": [id], "why": "a test shop's"}, headers=token("ops:dead-letters"))

    assert answer.status_code == 200
    letter = await whole(orders, id)
    (decision,) = letter["decisions"]
    assert (decision["decision"], decision["actor"], decision["why"]) == ("discard", "lin.operator", "a test shop's")
    assert (letter["state"], letter["closed_by"], letter["closed_at"]) == ("discarded", "lin.operator", decision["at"])
    assert letter["event"]["data"]["order_id"] == order_id


async def test_what_was_decided_cannot_be_rewritten(house: House, bus: Bus, orders: Client, order_id: str) -> None:
    id = await a_letter(bus, orders, order_id)
    await decide(orders, "discard", id)

    for statement in (
        "UPDATE dead_letter_decision SET actor = 'nobody' WHERE letter_id = $1",
        "DELETE FROM dead_letter_decision WHERE letter_id = $1",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="stays on record"):
            await administrator(house, statement, id)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await administrator(house, "DELETE FROM dead_letter WHERE id = $1", id)


@pytest.mark.parametrize("decision", ["replay", "discard"])
async def test_a_misspelt_wish_is_refused_and_nothing_done(orders: Client, decision: str) -> None:
    wish = {"all": True, "why": "just looking", "dryRun": True}

    answer = await orders.post(f"{PATH}/{decision}", json=wish, headers=token("ops:dead-letters"))

    assert (answer.status_code, [error["where"] for error in answer.json()["errors"]]) == (422, ["body.dryRun"])


@pytest.mark.parametrize("decision", ["replay", "discard"])
async def test_nothing_more_is_decided_of_a_discarded_letter(bus: Bus, orders: Client, order_id: str, decision: str) -> None:
    id = await a_letter(bus, orders, order_id)
    other = await a_letter(bus, orders, f"{order_id}-2")
    await decide(orders, "discard", id)

    answer = await decide(orders, decision, id, other)

    assert answer.status_code == 409
    assert f"letter {id} was discarded by local" in answer.json()["detail"]
    assert (await whole(orders, other))["decisions"] == []


async def test_a_handled_letter_is_not_replayed(bus: Bus, orders: Client, order_id: str, sku: str) -> None:
    await sell(bus, orders, sku)
    id = await an_early_letter(bus, orders, order_id)
    await bus.publish(a_paid_order(order_id=order_id, sku=sku), source="/shops/a")
    await until_state(orders, id, "handled")

    answer = await decide(orders, "replay", id)

    assert (answer.status_code, answer.json()["letter_state"]) == (409, "handled")


async def test_a_dry_run_says_what_it_would_do_and_does_nothing(bus: Bus, orders: Client, order_id: str) -> None:
    id = await a_letter(bus, orders, order_id)

    told = (await decide(orders, "discard", id, dry_run=True)).json()

    assert (told["dry_run"], told["count"], told["groups"][0]["example"]) == (True, 1, id)
    letter = await whole(orders, id)
    assert (letter["state"], letter["decisions"]) == ("retrying", [])


async def test_letters_are_chosen_by_reason_and_only_open_ones(bus: Bus, orders: Client, order_id: str) -> None:
    shop = f"/shops/{order_id}"
    first = await a_letter(bus, orders, order_id, source=shop)
    await decide(orders, "discard", first)
    second = await a_letter(bus, orders, f"{order_id}-2", source=shop)

    told = (await decide(orders, "discard", type="payment.refunded", reason=f"{shop} cannot refund")).json()

    assert told["count"] == 1
    assert (await whole(orders, second))["state"] == "discarded"


async def test_an_unknown_letter_is_said_to_be_unknown(orders: Client) -> None:
    id = str(uuid4())

    assert (await orders.get(f"{PATH}/{id}")).status_code == 404
    assert (await decide(orders, "replay", id)).json()["letters"] == [id]


@pytest.mark.parametrize(
    "wish",
    [
        {"why": "x"},
        {"why": "", "all": True},
        {"all": True},
        {"why": "x", "ids": []},
        {"why": "x", "reason": "a\x00b"},
        {"why": "x", "all": True, "event": {}},
    ],
    ids=["nothing chosen", "empty why", "no why", "no ids", "a NUL", "one event for many letters"],
)
async def test_a_decision_says_which_letters_and_why(orders: Client, wish: dict[str, object]) -> None:
    assert (await orders.post(f"{PATH}/replay", json=wish)).status_code == 422


async def test_only_who_may_decide_decides_and_sees_the_event(bus: Bus, orders: Client, order_id: str) -> None:
    id = await a_letter(bus, orders, order_id)
    reader, stranger = token("ops:read"), token("orders:read", "orders:write")

    seen = (await orders.get(f"{PATH}/{id}", headers=reader)).json()

    assert (seen["may_see_event"], seen["event"], seen["body"], seen["stack"]) == (False, None, None, None)
    assert seen["reason"]
    for decision in ("replay", "discard"):
        for headers in (reader, stranger):
            wish = {"ids": [id], "why": "because"}
            assert (await orders.post(f"{PATH}/{decision}", json=wish, headers=headers)).status_code == 403
    for path in (PATH, f"{PATH}/groups", f"{PATH}/{id}"):
        assert (await orders.get(path, headers=stranger)).status_code == 403
        async with Client(base_url=orders.base_url, trust_env=False) as nobody:
            assert (await nobody.get(path)).status_code == 401
    assert (await whole(orders, id))["decisions"] == []


async def test_what_the_broker_gave_up_on_takes_effect_when_it_is_replayed(
    house: House, bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    await give_up(house, a_paid_order(order_id=order_id, sku=sku), source="/shops/a")
    letter = await letter_about(orders, order_id)
    assert (letter["state"], letter["event_id"]) == ("dead", f"given-up-{order_id}")
    assert letter["reason"].startswith("given up by the broker")

    await decide(orders, "replay", letter["id"])

    await bus.expect(OrderPlaced, order_id=order_id)
    await until_state(orders, letter["id"], "handled")


async def test_what_took_effect_before_the_broker_gave_up_is_no_dead_letter(
    house: House, bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    handled, not_handled = (a_paid_order(order_id=f"{order_id}-{n}", sku=sku) for n in range(2))
    await bus.publish(handled, source="/shops/a", id=f"given-up-{handled.order_id}")
    await bus.expect(OrderPlaced, order_id=handled.order_id)

    await give_up(house, handled, not_handled, source="/shops/a")

    await letter_about(orders, not_handled.order_id)
    assert handled.order_id not in subjects(await listed(orders))


async def test_what_takes_effect_after_the_broker_gave_up_does_not_take_effect_again(
    house: House, bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    paid = a_paid_order(order_id=order_id, sku=sku)
    await give_up(house, paid, source="/shops/a")
    letter = await letter_about(orders, order_id)
    await bus.publish(paid, source="/shops/a", id=letter["event_id"])
    await bus.expect(OrderPlaced, order_id=order_id)

    await decide(orders, "replay", letter["id"])

    await until_state(orders, letter["id"], "handled")
    assert len(bus.all(OrderPlaced, order_id=order_id)) == 1


async def test_an_event_that_is_not_for_this_service_stays_without_effect_when_it_is_replayed(
    house: House, bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await give_up(house, a_paid_order(order_id=order_id, sku=sku), source="/orderbus/orders")
    id = (await letter_about(orders, order_id))["id"]

    await decide(orders, "replay", id)

    await until_state(orders, id, "handled")
    assert (await orders.get(f"/api/orders/{order_id}")).status_code == 404


async def test_an_unreadable_event_that_is_mended_takes_effect_once_and_what_it_was_stays_on_record(
    house: House, bus: Bus, orders: Client, order_id: str, sku: str
) -> None:
    await sell(bus, orders, sku)
    meant = await publish_without(bus, a_paid_order(order_id=order_id, sku=sku), "total", id=f"paid-{order_id}")
    id = (await letter_about(orders, order_id))["id"]
    still_wrong = await decide(orders, "replay", id, event={**meant, "data": {}})
    another = await decide(orders, "replay", id, event={**meant, "id": "another"})

    answer = await decide(orders, "replay", id, event=meant, why="the shop told us the total")

    assert [refused.status_code for refused in (still_wrong, another)] == [422, 422]
    assert answer.status_code == 200
    await bus.expect(OrderPlaced, order_id=order_id)
    letter = await until_state(orders, id, "handled")
    assert [decision["mended"] for decision in letter["decisions"]] == [True]
    assert letter["event"] == meant
    (row,) = await administrator(house, "SELECT body_before FROM dead_letter_decision WHERE letter_id = $1", id)
    assert b"total" not in row["body_before"]


async def test_an_event_that_can_be_read_is_not_rewritten(bus: Bus, orders: Client, order_id: str) -> None:
    id = await a_letter(bus, orders, order_id)
    event = (await whole(orders, id))["event"]

    answer = await decide(orders, "replay", id, event=event | {"source": "/orderbus/payments"})

    assert answer.status_code == 409
    assert "can be read" in answer.json()["detail"]


async def test_what_still_cannot_be_read_waits_for_a_person_again_at_once(
    house: House, bus: Bus, orders: Client, order_id: str
) -> None:
    await publish_without(bus, a_paid_order(order_id=order_id), "total", id=f"paid-{order_id}")
    first = await letter_about(orders, order_id)

    await decide(orders, "replay", first["id"])

    while (letter := await whole(orders, first["id"]))["last_failed_at"] == first["last_failed_at"]:
        await asyncio.sleep(0.02)
    assert (letter["state"], letter["attempts"]) == ("dead", 1)


async def test_bytes_that_postgres_cannot_keep_as_text_become_a_letter_all_the_same(
    bus: Bus, orders: Client, order_id: str
) -> None:
    event = orjson.loads(on_the_wire(a_paid_order(order_id=order_id))) | {"subject": f"{order_id}\x00", "data": {}}
    await bus.publish_bytes(orjson.dumps(event), codec.SINGLE, "order.paid")

    letter = await whole(orders, (await letter_about(orders, f"{order_id}\N{REPLACEMENT CHARACTER}"))["id"])

    assert letter["event"]["subject"] == f"{order_id}\x00"
