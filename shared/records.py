"""Frozen records of many fields, with some of them changed."""

from typing import TYPE_CHECKING, Any, TypeVar

R = TypeVar("R")

if TYPE_CHECKING:
    from dataclasses import replace as replace  # so that the names and types of what is changed are checked
else:

    def replace(record: R, /, **changes: Any) -> R:
        """As dataclasses.replace, for frozen dataclasses without slots, at a tenth of its cost: decisions do little else, and
        an __init__ would set every field anew."""
        changed = object.__new__(type(record))
        object.__setattr__(changed, "__dict__", record.__dict__ | changes)
        return changed
