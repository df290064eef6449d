"""What a consumer of an event may rely on: a field it reads stays, keeps its type, and stays required.

An event's schema says what is written as well as what is read, so both sides must survive: consumers (nothing that was
always there goes away or widens) and publishers (nothing new is demanded of them, nothing they send is refused).
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def breaks(old: Schema, new: Schema) -> list[str]:
    """What would break somebody, each in a sentence; empty when the change is safe."""
    return list(_breaks(old, new, old, new, ""))


def _breaks(old: Schema, new: Schema, old_root: Schema, new_root: Schema, where: str) -> Iterator[str]:
    old, new = _resolve(old, old_root), _resolve(new, new_root)
    at = where or "data"
    if lost := _types(old, old_root) - _types(new, new_root):
        yield f"{at}: no longer accepts {', '.join(sorted(lost))}"
    if added := _types(new, new_root) - _types(old, old_root):
        yield f"{at}: may now be {', '.join(sorted(added))}"
    yield from _narrowed(old, new, at)
    old_fields, new_fields = old.get("properties", {}), new.get("properties", {})
    for name in old_fields.keys() - new_fields.keys():
        yield f"{at}.{name}: was removed"
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{at}.{name}: is required now"
    for name in sorted((set(old.get("required", ())) - set(new.get("required", ()))) & new_fields.keys()):
        yield f"{at}.{name}: is no longer always there"
    for name in sorted(old_fields.keys() & new_fields.keys()):
        yield from _breaks(old_fields[name], new_fields[name], old_root, new_root, f"{at}.{name}")
    if "items" in old and "items" in new:
        yield from _breaks(old["items"], new["items"], old_root, new_root, f"{at}[]")
    yield from _objects_in_unions(old, new, old_root, new_root, at)


def _narrowed(old: Schema, new: Schema, at: str) -> Iterator[str]:
    for bound in LOWER_BOUNDS:
        if bound in new and new[bound] > old.get(bound, float("-inf")):
            yield f"{at}: {bound} was raised to {new[bound]}"
    for bound in UPPER_BOUNDS:
        if bound in new and new[bound] < old.get(bound, float("inf")):
            yield f"{at}: {bound} was lowered to {new[bound]}"
    if new.get("pattern") not in (None, old.get("pattern")):
        yield f"{at}: pattern is now {new['pattern']}"
    if "enum" in new and (gone := set(old.get("enum", ())) - set(new["enum"])):
        yield f"{at}: no longer one of {', '.join(sorted(gone))}"


def _objects_in_unions(old: Schema, new: Schema, old_root: Schema, new_root: Schema, at: str) -> Iterator[str]:
    """`X | None`: the X of both sides is compared."""
    before, after = (
        [resolved for each in schema.get("anyOf", ()) if (resolved := _resolve(each, root)).get("type") not in (None, "null")]
        for schema, root in ((old, old_root), (new, new_root))
    )
    if len(before) == len(after) == 1:
        yield from _breaks(before[0], after[0], old_root, new_root, at)


def _types(schema: Schema, root: Schema) -> set[str]:
    schema = _resolve(schema, root)
    if "anyOf" in schema:
        return set().union(*(_types(each, root) for each in schema["anyOf"]))
    return {schema["type"]} if "type" in schema else set()


def _resolve(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema
