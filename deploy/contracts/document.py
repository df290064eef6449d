"""Documents made from the code: docs/events.md and each service's OpenAPI and AsyncAPI."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.contracts.schemas import file_of
from deploy.services import SERVICES
from shared import asyncapi
from shared.events import EVENTS, Event

DOCS = Path(__file__).parents[2] / "docs"


def documents() -> Mapping[Path, str]:
    """Every generated document and its content."""
    found = {DOCS / "events.md": events_page()}
    for name, service in SERVICES.items():
        found[DOCS / "openapi" / f"{name}.json"] = _json(service.openapi())
        found[DOCS / "asyncapi" / f"{name}.json"] = _json(
            asyncapi.document(name, service.description, service.handlers, service.announces)
        )
    return found


def write() -> list[str]:
    """Bring the committed documents up to date; the names of those that changed."""
    changed = [path for path, text in documents().items() if not path.exists() or path.read_text() != text]
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(documents()[path])
    return [path.name for path in changed]


def events_page() -> str:
    """docs/events.md."""
    parts = [
        "# Events\n\nMade by `./orderbus contracts` from `shared/events`; do not edit. "
        "How to read and publish them: [reading-events.md](reading-events.md).\n",
        "| event | announced by | heard by | from other systems |\n| --- | --- | --- | --- |",
    ]
    parts += [
        f"| [{t}](#{t.replace('.', '')}) | {_announcers(t)} | {_hearers(t)} | {'yes' if event.inbound else ''} |"
        for t, event in EVENTS.items()
    ]
    parts.append("")
    parts += [_section(event) for event in EVENTS.values()]
    return "\n".join(parts) + "\n"


def _section(event: type[Event]) -> str:
    schema = event.model_json_schema()
    rows = "\n".join(
        f"| `{name}` | {_type(field, schema)} | {'always' if name in schema.get('required', ()) else 'if known'} |"
        for name, field in schema["properties"].items()
    )
    doc = " ".join((event.__doc__ or "").split())
    link = file_of(event).relative_to(DOCS)
    return (
        f"## {event.type}\n\n{doc}\n\nVersion {event.version}, subject `{event.subject_field}`, "
        f"[schema]({link}).\n\n| field | type | there |\n| --- | --- | --- |\n{rows}\n"
    )


def _type(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        inner = schema["$defs"][name]
        return f"{name} {{{', '.join(inner.get('properties', {}))}}}"
    if "anyOf" in field:
        return " or ".join(_type(each, schema) for each in field["anyOf"] if each.get("type") != "null")
    if field.get("type") == "array":
        return f"list of {_type(field['items'], schema)}"
    if "enum" in field:
        return "one of " + ", ".join(f"`{each}`" for each in field["enum"])
    return str(field.get("format") or field.get("type") or "any")


def _announcers(event_type: str) -> str:
    return ", ".join(name for name, service in SERVICES.items() if EVENTS[event_type] in service.announces) or "other systems"


def _hearers(event_type: str) -> str:
    return ", ".join(name for name, service in SERVICES.items() if event_type in service.handlers)


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
