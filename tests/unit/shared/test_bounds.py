"""What would cost much to read is known before it is read."""

import contextlib
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import bounds
from shared.problems import TooLarge, Unprocessable


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_arrays_and_objects_may_be_so_deep_and_no_deeper() -> None:
    bounds.check_json(nested(bounds.MAX_DEPTH))
    for deep in (
        nested(bounds.MAX_DEPTH + 1),
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b"[" * 40_000,
        b'["' + b"[" * 50 + b'",' + nested(33),
    ):
        with pytest.raises(Unprocessable):
            bounds.check_json(deep)


def test_brackets_in_texts_and_beside_one_another_are_not_deep() -> None:
    for flat in (
        b'"' + b"[" * 1000 + b'"',
        b'"\\"' + b"{" * 1000 + b'"',
        b"[" + b"[]," * 1000 + b"[]]",
        b'["\\\\",' + b"[]," * 50 + b"[]]",
    ):
        bounds.check_json(flat)


def test_a_body_may_hold_so_many_values() -> None:
    with pytest.raises(TooLarge):
        bounds.check_json(b"[" + b"0," * bounds.MAX_ITEMS + b"0]")


def test_the_worst_megabyte_is_refused_within_a_blink() -> None:
    for worst in (
        b"[" * bounds.MAX_BODY,
        b'"' * bounds.MAX_BODY,
        b'["\\' * (bounds.MAX_BODY // 12),
        b"[]" * 49_000 + b'"' + b"\\" * 900_000,
    ):
        started = time.process_time()
        with contextlib.suppress(TooLarge, Unprocessable):
            bounds.check_json(worst)
        assert time.process_time() - started < 0.5


values = st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(values)
def test_the_depth_that_is_counted_is_the_depth(value: object) -> None:
    def depth(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    assert bounds._depth(orjson.dumps(value)) == depth(value)
