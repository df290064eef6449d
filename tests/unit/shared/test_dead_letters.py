"""When a failed event is tried again, what a letter says of it, and what may take an unreadable one's place."""

from datetime import UTC, datetime, timedelta

import asyncpg
import orjson
import pytest
from pydantic import BaseModel, ValidationError

from shared import codec
from shared.database import Tx
from shared.dead_letters import next_try
from shared.dead_letters.deciding import accepted
from shared.dead_letters.letter import of_unreadable, read, reason_of
from shared.events import Envelope, Event, received
from shared.events.orders import OrderPaid
from shared.origin import EXCHANGE, Origin
from shared.problems import Unprocessable
from shared.subscriptions import Subscriptions
from tests.builders import a_paid_order

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SHOP = Envelope("paid-1", "/shops/a", "order.paid", "T-1", NOW)
TAKEN_OVER_HTTP = Origin(EXCHANGE, "order.paid", "orders.order.paid")

heard = Subscriptions()


@heard(OrderPaid, ours=False)
async def admit(events: list[OrderPaid], tx: Tx) -> None:
    """Only that there is a handler matters here."""


def on_the_wire(envelope: Envelope = SHOP, event: Event | None = None) -> bytes:
    return codec.encode(event or a_paid_order(), envelope)


def test_a_failed_event_is_tried_again_after_1_s_5_s_30_s_2_min_and_10_min_and_then_waits_for_a_person() -> None:
    waits = [next_try(attempts, NOW) for attempts in range(1, 7)]

    assert [at - NOW for at in waits[:-1] if at] == [
        timedelta(seconds=1),
        timedelta(seconds=5),
        timedelta(seconds=30),
        timedelta(minutes=2),
        timedelta(minutes=10),
    ]
    assert waits[-1] is None


def test_what_was_tried_far_too_often_is_not_tried_again() -> None:
    assert next_try(1000, NOW) is None


def test_a_reason_names_the_failure_without_the_row_it_is_about() -> None:
    error = asyncpg.UniqueViolationError("duplicate key violates one_order")
    error.detail = "Failing row contains (李雷, +8613800000000)"

    assert reason_of(error) == "UniqueViolationError: duplicate key violates one_order"


def test_a_reason_names_the_field_that_was_wrong_without_its_value() -> None:
    class Person(BaseModel):
        phone: int

    with pytest.raises(ValidationError) as refused:
        Person(phone="李雷")

    assert "phone" in reason_of(refused.value)
    assert "李雷" not in reason_of(refused.value)


def test_a_letter_reads_back_as_the_event_it_was() -> None:
    assert [event.envelope for event in read(on_the_wire()).events] == [SHOP]


def test_a_letter_may_hold_a_whole_batch() -> None:
    body = b" [" + on_the_wire() + b"," + on_the_wire() + b"]"

    assert len(read(body).events) == 2


def test_bytes_without_meaning_are_kept_with_a_reason_and_without_a_stack() -> None:
    letter = of_unreadable(read(b"\xff nonsense").unreadable[0])

    assert letter.reason.startswith("not CloudEvents")
    assert (letter.body, letter.stack, letter.envelope) == (b"\xff nonsense", None, None)


def test_a_mended_event_takes_an_unreadable_ones_place() -> None:
    assert accepted(on_the_wire(), SHOP, TAKEN_OVER_HTTP, heard) == received(a_paid_order(), SHOP)
    assert accepted(on_the_wire(), None, TAKEN_OVER_HTTP, heard).envelope == SHOP


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{}", "cannot be taken either"),
        (orjson.dumps(orjson.loads(on_the_wire()) | {"data": {"order_id": "T-1"}}), "currency: Field required"),
        (on_the_wire(Envelope("paid-2", "/shops/a", "order.paid", "T-1", NOW)), "source and id should stay"),
        (on_the_wire(Envelope("paid-1", "/shops/b", "order.paid", "T-1", NOW)), "source and id should stay"),
    ],
    ids=["nothing", "field missing", "another id", "another source"],
)
def test_a_mended_event_must_be_readable_and_the_same_event(body: bytes, says: str) -> None:
    with pytest.raises(Unprocessable, match=says):
        accepted(body, SHOP, TAKEN_OVER_HTTP, heard)


def test_a_mended_event_must_be_one_that_the_service_acts_on() -> None:
    ours = Envelope("paid-1", "/orderbus/orders", "order.paid", "T-1", NOW)

    with pytest.raises(Unprocessable, match=r"does not act on order\.paid from /orderbus/orders"):
        accepted(on_the_wire(ours), None, TAKEN_OVER_HTTP, heard)
    with pytest.raises(Unprocessable, match=r"does not act on order\.paid"):
        accepted(on_the_wire(), None, TAKEN_OVER_HTTP, Subscriptions())


@pytest.mark.parametrize(
    ("origin", "says"),
    [
        (Origin("external./shops/b", "order.paid", "orders.order.paid"), "/shops/a was published by /shops/b, which may not"),
        (Origin("external./shops/a", "order.submitted", "orders.order.submitted"), "was published as order.submitted"),
    ],
    ids=["another's word", "another type"],
)
def test_a_mended_event_is_still_the_word_of_who_published_what_it_mends(origin: Origin, says: str) -> None:
    with pytest.raises(Unprocessable, match=says):
        accepted(on_the_wire(), None, origin, heard)


def test_a_letter_that_was_refused_for_who_published_it_is_refused_for_the_same_reason_ever_after() -> None:
    origin = Origin("external./shops/b", "order.paid", "orders.order.paid")

    (first,) = read(on_the_wire(), origin).unreadable
    (again,) = read(of_unreadable(first).body, of_unreadable(first).origin).unreadable

    assert first.reason == again.reason == "source: /shops/a was published by /shops/b, which may not speak for it"
