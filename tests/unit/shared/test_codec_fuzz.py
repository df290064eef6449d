"""Whatever bytes come, the codec neither raises nor loses them: each is an event, or can be kept as a dead letter."""

import tracemalloc
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared import codec
from shared.codec import BATCH, SINGLE, Decoded
from shared.dead_letters import of_unreadable
from shared.dead_letters.letter import of_failure, read
from shared.events import Envelope
from tests.builders import a_paid_order

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
PAID = codec.encode(a_paid_order(), Envelope("id-1", "/shops/a", "order.paid", "T-1", NOW))
WHOLE: dict[str, Any] = orjson.loads(PAID)
CARD = "4111 1111 1111 1111"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=20,
)
HEADER = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text()
    | st.binary()
    | st.just(Decimal("NaN"))
    | st.datetimes()
    | st.lists(st.binary(max_size=3), max_size=3)
    | st.dictionaries(st.text(max_size=3), st.binary(max_size=3), max_size=3)
)
ATTRIBUTE = st.sampled_from(
    ["specversion", "id", "source", "type", "subject", "time", "data", "correlationid", "traceparent", "x", "data_base64"]
)
CONTENT_TYPE = st.sampled_from([SINGLE, BATCH, "application/json", None, "", ";", SINGLE.upper() + "; charset=utf-8"])
IN_HEADERS: dict[str, Any] = {f"cloudEvents:{name}": value for name, value in WHOLE.items() if name != "data"}


def all_is_kept(decoded: Decoded) -> None:
    """Each event can be kept whole and read again; the rest can be kept, and is as unreadable again."""
    for event in decoded.events:
        letter = of_failure(event, ValueError("x"))
        assert read(letter.body).events == [event]
    for unreadable in decoded.unreadable:
        letter = of_unreadable(unreadable)
        assert letter.reason
        again = read(letter.body)
        assert again.events or again.unreadable or letter.body.strip() == b"[]"


@given(st.binary(max_size=500), CONTENT_TYPE, st.dictionaries(st.text(max_size=20), HEADER, max_size=4))
def test_bytes_of_any_kind(body: bytes, content_type: str | None, headers: dict[str, Any]) -> None:
    decoded = codec.decode(body, content_type, headers)

    assert decoded.events or decoded.unreadable or body.strip() == b"[]"
    all_is_kept(decoded)


@given(JSON, st.sampled_from([SINGLE, BATCH]))
def test_json_of_any_shape(value: Any, content_type: str) -> None:
    all_is_kept(codec.decode(orjson.dumps(value), content_type, {}))


@given(st.dictionaries(ATTRIBUTE, JSON, max_size=4), st.booleans())
def test_an_event_with_anything_in_its_attributes(changes: dict[str, Any], in_batch: bool) -> None:
    body = orjson.dumps(WHOLE | changes)

    decoded = codec.decode(b"[" + body + b"," + PAID + b"]", BATCH, {}) if in_batch else codec.decode(body, SINGLE, {})

    assert len(decoded.events) + len(decoded.unreadable) == 1 + in_batch
    all_is_kept(decoded)


@given(st.dictionaries(st.sampled_from(sorted(WHOLE["data"])), JSON, min_size=1, max_size=3), st.text(max_size=5), JSON)
def test_an_event_with_anything_in_its_data(changes: dict[str, Any], name: str, more: Any) -> None:
    decoded = codec.decode(orjson.dumps(WHOLE | {"data": {name: more} | WHOLE["data"] | changes}), SINGLE, {})

    assert len(decoded.events) + len(decoded.unreadable) == 1
    all_is_kept(decoded)


@given(st.dictionaries(ATTRIBUTE.map("cloudEvents:{}".format), HEADER, max_size=4), st.binary(max_size=20) | st.just(None))
def test_binary_mode_with_anything_in_its_headers(changes: dict[str, Any], body: bytes | None) -> None:
    data = orjson.dumps(WHOLE["data"]) if body is None else body

    decoded = codec.decode(data, "application/json", IN_HEADERS | changes)

    assert len(decoded.events) + len(decoded.unreadable) == 1
    all_is_kept(decoded)


@given(st.integers(0, len(PAID)), st.binary(max_size=5), st.integers(0, 20), CONTENT_TYPE)
def test_an_event_that_is_cut_short_or_garbled_anywhere(at: int, put: bytes, gone: int, content_type: str | None) -> None:
    for body in (PAID[:at], PAID[:at] + put + PAID[at + gone :], b"[" + PAID + b"," + PAID[:at]):
        decoded = codec.decode(body, content_type, {})
        assert decoded.events or decoded.unreadable
        all_is_kept(decoded)


@pytest.mark.parametrize("mode", ["single", "batch", "binary"])
@pytest.mark.parametrize("place", ["memo", "lines", "all of it"])
@given(depth=st.integers(1, 1200), is_object=st.booleans(), leaf=st.sampled_from(['"x"', f'"{CARD}"', f'"{CARD[:-1]}2"', ""]))
@example(depth=260, is_object=False, leaf='"x"')  # orjson writes 254 deep, and reads 1024
@example(depth=1000, is_object=True, leaf=f'"{CARD}"')
@example(depth=100_000, is_object=False, leaf="")
def test_arrays_and_objects_deep_in_one_another(mode: str, place: str, depth: int, is_object: bool, leaf: str) -> None:
    deep = ('{"a":' if is_object else "[") * depth + (leaf or "1") + ("}" if is_object else "]") * depth
    marked = orjson.dumps(WHOLE["data"] | {place: "HERE"}).decode()
    data = deep if place == "all of it" else marked.replace('"HERE"', deep)
    event = orjson.dumps(WHOLE | {"data": "HERE"}).decode().replace('"HERE"', data)
    match mode:
        case "single":
            decoded = codec.decode(event.encode(), SINGLE, {})
        case "batch":
            decoded = codec.decode(f"[{event},{PAID.decode()}]".encode(), BATCH, {})
        case _:
            decoded = codec.decode(data.encode(), "application/json", IN_HEADERS)

    assert decoded.events or decoded.unreadable
    all_is_kept(decoded)
    assert not any(CARD.encode() in unreadable.body for unreadable in decoded.unreadable)


MOST = codec.MAX_BODY_BYTES
LARGE = MOST // 8
"""Of what is looked at item by item: enough for its memory to be in proportion, and seconds sooner over than the most."""


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[" + b"0," * (MOST // 2 - 2) + b"0]", BATCH),
        (b"[" * (MOST // 2) + b"]" * (MOST // 2), BATCH),
        (b"[" + b"[]," * (LARGE // 3 - 3) + b"[]]", SINGLE),
        (PAID[:-2] + b',"lines":[' + b"{}," * (LARGE // 3) + b"{}]}}", SINGLE),
        (PAID[:-2] + b',"order_id":"' + b"1 " * (LARGE // 2) + b'"}}', SINGLE),
        (b'"' + b"4111 " * (LARGE // 5) + b'"', SINGLE),
        (b"0" * (MOST + 1), BATCH),
    ],
    ids=["a batch of nothings", "as deep as it is large", "empty arrays", "empty lines", "a long id", "digits", "over the limit"],
)
def test_a_large_message_takes_memory_in_proportion(body: bytes, content_type: str) -> None:
    tracemalloc.start()
    try:
        decoded = codec.decode(body, content_type, {})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert decoded.unreadable
    assert not decoded.events
    assert len(decoded.unreadable) <= codec.MAX_EVENTS
    assert most < 160 * len(body)
