"""A change that would break a consumer or a publisher is seen."""

from typing import Any

import pytest

from deploy.contracts.compatibility import breaks


def an_event(required: tuple[str, ...] = ("order_id",), **fields: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": {"order_id": {"type": "string"}} | fields}


@pytest.mark.parametrize(
    ("before", "after", "because"),
    [
        (an_event(note={"type": "string"}), an_event(), "note: was removed"),
        (an_event(n={"type": "integer"}), an_event(n={"type": "string"}), "n: no longer accepts integer"),
        (an_event(), an_event(("order_id", "n"), n={"type": "integer"}), "n: is required now"),
        (an_event(("order_id", "n"), n={"type": "integer"}), an_event(n={"type": "integer"}), "n: is no longer always there"),
        (an_event(n={"type": "string", "maxLength": 9}), an_event(n={"type": "string", "maxLength": 8}), "lowered to 8"),
        (an_event(n={"type": "integer"}), an_event(n={"type": "integer", "minimum": 1}), "raised to 1"),
        (an_event(n={"enum": ["a", "b"]}), an_event(n={"enum": ["a"]}), "no longer one of b"),
        (an_event(n={"type": "string"}), an_event(n={"type": "string", "pattern": "^a"}), "pattern is now ^a"),
        (
            an_event(n={"type": "array", "items": an_event(x={"type": "string"})}),
            an_event(n={"type": "array", "items": an_event()}),
            "n[].x: was removed",
        ),
        (
            an_event(n={"type": "string"}),
            an_event(n={"anyOf": [{"type": "string"}, {"type": "null"}]}),
            "n: may now be null",
        ),
    ],
)
def test_a_breaking_change_is_named(before: dict[str, Any], after: dict[str, Any], because: str) -> None:
    assert any(because in found for found in breaks(before, after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (an_event(), an_event()),
        (an_event(), an_event(note={"type": "string"})),
        (an_event(n={"type": "string", "maxLength": 8}), an_event(n={"type": "string", "maxLength": 9})),
        (an_event(n={"enum": ["a"]}), an_event(n={"enum": ["a", "b"]})),
    ],
)
def test_an_addition_breaks_nobody(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert breaks(before, after) == []
