"""CloudEvents on the wire."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import codec
from shared.events import Envelope
from shared.events.orders import OrderCancelled
from shared.events.stock import StockLow, StockReserved
from shared.origin import EXCHANGE, Origin
from tests.builders import a_paid_order

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
EVENT = OrderCancelled(order_id="T-1", reason="changed my mind")
ENVELOPE = Envelope(
    "id-1",
    "/orderbus/orders",
    "order.cancelled",
    "T-1",
    datetime(2026, 11, 24, 8, tzinfo=UTC),
    correlation_id="T-1",
    causation_id="id-0",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)
ORIGIN = Origin("external./orderbus/orders", "order.cancelled", "inventory.order.cancelled")


def test_an_event_comes_back_as_it_left_envelope_and_all() -> None:
    body, content_type = codec.join([codec.encode(EVENT, ENVELOPE)])

    (event,) = codec.decode(body, content_type, {}).events

    assert content_type == codec.SINGLE
    assert (event, event.envelope) == (EVENT, ENVELOPE)


def test_what_is_not_known_is_left_out_of_an_event() -> None:
    bare = replace(ENVELOPE, correlation_id=None, causation_id=None, traceparent=None)

    said = orjson.loads(codec.encode(StockReserved(order_id="T-1", allocations=(), expires_at=None), bare))

    assert None not in said.values()
    assert said["data"] == {"order_id": "T-1", "allocations": []}


def test_several_events_travel_as_one_array_and_come_back_in_order() -> None:
    body, content_type = codec.join([codec.encode(EVENT, ENVELOPE)] * 3)

    assert content_type == codec.BATCH
    assert codec.decode(body, content_type, {}).events == [EVENT] * 3


@pytest.mark.parametrize("prefix", ["cloudEvents:", "cloudEvents_", "ce-"])
def test_binary_mode_is_read(prefix: str) -> None:
    headers = {f"{prefix}{name}": value for name, value in (("specversion", "1.0"), ("id", "1"), ("source", "/a"))}

    for type in (EVENT.type, EVENT.type.encode()):  # some clients send texts as bytes
        decoded = codec.decode(EVENT.model_dump_json().encode(), "application/json", headers | {f"{prefix}type": type, "x": 1})

        assert decoded.events == [EVENT]


@pytest.mark.parametrize("content_type", [codec.SINGLE.upper(), f"{codec.SINGLE}; charset=utf-8", f"{codec.SINGLE} ;x=y"])
def test_a_content_type_is_read_in_any_case_and_with_its_parameters(content_type: str) -> None:
    assert codec.decode(codec.encode(EVENT, ENVELOPE), content_type, {}).events == [EVENT]


@pytest.mark.parametrize(
    ("content_type", "reason"),
    [
        ("text/plain", "the content type is text/plain, neither "),
        (None, "the content type is not given, neither "),
        (codec.BATCH, "a batch is a JSON array of events"),
    ],
)
def test_a_message_that_is_no_event_says_why(content_type: str | None, reason: str) -> None:
    (unreadable,) = codec.decode(codec.encode(EVENT, ENVELOPE), content_type, {"x": 1}).unreadable

    assert unreadable.reason.startswith(f"not CloudEvents: {reason}")


def test_one_bad_event_of_a_batch_does_not_spoil_the_others() -> None:
    good = codec.encode(EVENT, ENVELOPE)
    bad = orjson.dumps(orjson.loads(good) | {"data": {"order_id": "T-2"}})

    decoded = codec.decode(*codec.join([good, bad, good]), {})

    assert len(decoded.events) == 2
    assert decoded.unreadable[0].reason == "reason: Field required"


def test_what_is_wrong_is_said_without_the_value_which_may_be_personal() -> None:
    body = orjson.dumps(orjson.loads(codec.encode(EVENT, ENVELOPE)) | {"data": {"order_id": "李雷 secret", "reason": "x"}})

    (unreadable,) = codec.decode(body, codec.SINGLE, {}).unreadable

    assert unreadable.reason.startswith("order_id: ")
    assert "secret" not in unreadable.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id: "),
        ({"id": "a\0b"}, "id: should have no control characters"),
        ({"source": "/shops/a\n"}, "source: should have no control characters"),
        ({"source": None}, "source: "),
        ({"type": "no.such"}, "there is no event called"),
        ({"time": "yesterday"}, "time: "),
        ({"time": "2026-11-24T08:00:00"}, "time: "),
        ({"data": []}, "data: "),
    ],
)
def test_an_event_that_is_none_says_which_attribute_is_wrong(change: dict[str, object], reason: str) -> None:
    body = orjson.dumps(orjson.loads(codec.encode(EVENT, ENVELOPE)) | change)

    (unreadable,) = codec.decode(body, codec.SINGLE, {}).unreadable

    assert reason in unreadable.reason


@pytest.mark.parametrize("number", ["2", True, 2.0, "29900"])
@pytest.mark.parametrize("field", ["quantity", "unit_price"])
def test_an_event_whose_number_is_none_says_which(field: str, number: object) -> None:
    paid = a_paid_order()
    data = paid.model_dump(mode="json")
    data["lines"][0][field] = number
    event = {"specversion": "1.0", "id": "paid-1", "source": "/shops/a", "type": paid.type, "data": data}

    (unreadable,) = codec.decode(orjson.dumps(event), codec.SINGLE, {}).unreadable

    assert unreadable.reason == f"lines.0.{field}: Input should be a valid integer"


def test_an_event_with_a_card_number_is_refused_and_the_number_is_not_kept() -> None:
    body = orjson.dumps(
        orjson.loads(codec.encode(EVENT, ENVELOPE)) | {"data": {"order_id": "T-1", "reason": "card 4242 4242 4242 4242"}}
    )

    decoded = codec.decode(body, codec.SINGLE, {})

    assert not decoded.events
    assert decoded.unreadable[0].reason == "data.reason: looks like a card number"
    assert b"4242" not in decoded.unreadable[0].body


def test_what_our_own_services_say_is_not_taken_for_a_card_number() -> None:
    """It was looked through when it came in."""
    called_off = OrderCancelled(order_id="T-1", reason="parcel 4242424242424242 is lost")
    body = codec.encode(called_off, ENVELOPE)

    assert codec.decode(body, codec.SINGLE, {}, origin=replace(ORIGIN, exchange=EXCHANGE)).events == [called_off]
    assert not codec.decode(body, codec.SINGLE, {}, origin=ORIGIN).events


def test_a_message_that_is_too_large_is_refused_unread() -> None:
    decoded = codec.decode(b" " * (codec.MAX_BODY_BYTES + 1), codec.SINGLE, {})

    assert "bytes" in decoded.unreadable[0].reason


def test_a_batch_of_more_events_than_may_be_is_refused_at_once() -> None:
    most, more = (codec.decode(b"[" + b",".join([b"1"] * n) + b"]", codec.BATCH, {}) for n in (10_000, 10_001))

    assert len(most.unreadable) == 10_000
    assert [each.reason for each in more.unreadable] == ["not CloudEvents: the batch has 10001 events, more than 10000"]


def test_events_nobody_wants_are_not_even_looked_at() -> None:
    body = orjson.dumps(orjson.loads(codec.encode(EVENT, ENVELOPE)) | {"data": {}})

    decoded = codec.decode(body, codec.SINGLE, {}, wanted=lambda envelope: not envelope.is_ours)

    assert not decoded.events
    assert not decoded.unreadable


def test_an_event_that_may_not_be_there_says_why_and_its_data_is_not_looked_at() -> None:
    good = codec.encode(EVENT, ENVELOPE)
    bad = orjson.dumps(orjson.loads(good) | {"source": "/shops/other", "data": {}})

    decoded = codec.decode(*codec.join([good, bad]), {}, origin=ORIGIN)

    assert decoded.events == [EVENT]
    (unreadable,) = decoded.unreadable
    assert unreadable.reason == "source: /shops/other was published by /orderbus/orders, which may not speak for it"
    assert unreadable.origin == ORIGIN
    assert unreadable.envelope is not None
    assert unreadable.envelope.id == "id-1"


def test_an_event_that_may_not_be_there_is_refused_even_where_nobody_wants_it() -> None:
    elsewhere = Origin(EXCHANGE, "order.paid", "orders.order.paid")

    decoded = codec.decode(codec.encode(EVENT, ENVELOPE), codec.SINGLE, {}, lambda _: False, elsewhere)

    assert decoded.unreadable[0].reason == f"type: {EVENT.type} was published as order.paid"


def test_a_field_of_a_later_version_is_ignored() -> None:
    event = {"sku": "A", "available": 1, "threshold": 5, "colour": "red"}
    body = orjson.dumps({"specversion": "1.0", "id": "1", "source": "/a", "type": "stock.low", "data": event})

    assert codec.decode(body, codec.SINGLE, {}).events == [StockLow(sku="A", available=1, threshold=5)]


@given(st.binary(max_size=300), st.sampled_from([codec.SINGLE, codec.BATCH, "application/json", None, ""]))
def test_no_bytes_whatever_crash_the_codec(body: bytes, content_type: str | None) -> None:
    decoded = codec.decode(body, content_type, {"ce-id": "1"})

    assert not decoded.events


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
ATTRIBUTES = ("specversion", "id", "source", "type", "time", "data", "traceparent")


@given(st.lists(st.dictionaries(st.sampled_from(ATTRIBUTES), JSON) | JSON, max_size=3))
def test_no_json_whatever_crashes_the_codec(items: list[object]) -> None:
    try:
        body = orjson.dumps(items)
    except TypeError:  # an integer beyond 64 bits is no JSON for orjson
        return

    decoded = codec.decode(body, codec.BATCH, {})

    assert len(decoded.events) + len(decoded.unreadable) == len(items)


NEWER = orjson.loads(codec.encode(a_paid_order(), Envelope("paid-1", "/shops/a", "order.paid", "T-1", NOW))) | {"shopfloor": "2"}
NEWER["data"] |= {"gift": True, "ship_to": NEWER["data"]["ship_to"] | {"floor": 7}}
NEWER["data"]["lines"] = [line | {"engraving": "L."} for line in NEWER["data"]["lines"]]


def test_what_a_newer_version_says_stays_in_an_event_that_is_kept() -> None:
    (event,) = codec.decode(orjson.dumps(NEWER), codec.SINGLE, {}).events

    assert orjson.loads(codec.whole(event)) == NEWER


def test_what_a_newer_version_says_is_passed_on_and_the_known_as_it_was_understood() -> None:
    data = NEWER["data"] | {"customer": NEWER["data"]["customer"] | {"name": "  李雷 "}}
    no_attributes = {"odd-name": "x", "odd": {"a": 1}}
    told = NEWER | no_attributes | {"data": data, "subject": "made up", "time": "2026-11-24T16:00:00+08:00"}
    (event,) = codec.decode(orjson.dumps(told), codec.SINGLE, {}).events

    passed_on = orjson.loads(codec.pass_on(event, replace(event.envelope, subject="T-1", correlation_id="T-1")))

    assert passed_on == NEWER | {
        "correlationid": "T-1",
        "data": NEWER["data"] | {"customer": NEWER["data"]["customer"] | {"name": "李雷"}},
    }
    assert codec.decode(orjson.dumps(passed_on), codec.SINGLE, {}).events == [event]


def test_an_event_without_a_time_is_passed_on_without_one() -> None:
    """Said again it would have another, and be another event to the inboxes."""
    undated = {name: value for name, value in orjson.loads(codec.encode(EVENT, ENVELOPE)).items() if name != "time"}
    (event,) = codec.decode(orjson.dumps(undated), codec.SINGLE, {}).events

    assert "time" not in orjson.loads(codec.pass_on(event, event.envelope))


def test_of_a_message_with_events_too_deep_to_be_written_the_whole_is_kept_once() -> None:
    good, deep = codec.encode(EVENT, ENVELOPE), b"[" * 300 + b"]" * 300
    body = b"[" + b",".join([deep, good, deep, deep]) + b"]"

    decoded = codec.decode(body, codec.BATCH, {})

    (unreadable,) = decoded.unreadable
    assert decoded.events == [EVENT]
    assert (unreadable.body, unreadable.reason) == (body, "3 of its events have arrays and objects too deep in one another")


def test_what_cannot_be_read_says_where_in_its_batch_it_stood() -> None:
    decoded = codec.decode(b"[" + codec.encode(EVENT, ENVELOPE) + b",1,[]]", codec.BATCH, {})

    assert [unreadable.place for unreadable in decoded.unreadable] == [1, 2]
