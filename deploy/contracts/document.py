"""Documents made from the code: the reference pages in docs/ and each service's OpenAPI and AsyncAPI."""

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, get_type_hints

import typer
from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr
from pydantic_core import to_json
from typer.cli import get_docs_for_click

from deploy.cli.__main__ import command_line
from deploy.contracts.schemas import file_of
from deploy.services import SERVICES
from shared import asyncapi, metrics
from shared.events import EVENTS, Event
from shared.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


def documents() -> Mapping[Path, str]:
    """Every generated document and its content."""
    found = {
        DOCS / "events.md": events_page(),
        DOCS / "http.md": http_page(),
        DOCS / "settings.md": settings_page(),
        DOCS / "metrics.md": metrics_page(),
        DOCS / "cli.md": commands_page(),
    }
    for name, service in SERVICES.items():
        found[DOCS / "openapi" / f"{name}.json"] = _json(service.openapi())
        found[DOCS / "asyncapi" / f"{name}.json"] = _json(
            asyncapi.document(name, service.description, service.handlers, service.announces)
        )
    return found


def write() -> list[str]:
    """Bring the committed documents up to date; the names of those that changed."""
    changed = {path: text for path, text in documents().items() if not path.exists() or path.read_text() != text}
    for path, text in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
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


def http_page() -> str:
    """docs/http.md."""
    parts = [
        "# HTTP routes\n\nMade by `./orderbus contracts`; do not edit. Bodies and answers in full: `docs/openapi/`, or "
        "`/openapi.json` of each service. Errors are RFC 9457 problem details. Writes take `Idempotency-Key`. A scope is "
        "what the bearer token must carry.\n"
    ]
    for name, service in SERVICES.items():
        parts.append(f"## {name}\n\n| route | does |\n| --- | --- |")
        for path, methods in service.openapi()["paths"].items():
            for method, operation in methods.items():
                parts.append(f"| `{method.upper()} {path}` | {' '.join(operation['description'].split())} |")
        parts.append("")
    return "\n".join(parts)


def settings_page() -> str:
    """docs/settings.md."""
    parts = [
        "# Settings\n\nMade by `./orderbus contracts`; do not edit. Environment variables; each can also be given as a file "
        "that holds it, `ORDERBUS_X_FILE`, which is how Docker and Kubernetes hand over secrets.\n",
        "## Every service\n",
        *_settings(Settings, set()),
    ]
    for name, service in SERVICES.items():
        own = get_type_hints(service.settings)["return"]
        if own.model_fields.keys() - Settings.model_fields.keys():
            parts += [f"\n## {name}\n", *_settings(own, set(Settings.model_fields))]
    return "\n".join(parts) + "\n"


def metrics_page() -> str:
    """docs/metrics.md."""
    parts = [
        "# Metrics\n\nMade by `./orderbus contracts`; do not edit. `GET /metrics` of each service has these, and "
        "prometheus-client's own `process_…` and `python_…`. A histogram is its `_bucket`, `_sum` and `_count`. "
        "Labels are never ids.\n"
    ]
    for heading, package in [("Every service", "shared"), *((name, f"services.{name}") for name in SERVICES)]:
        if rows := [_metric(each) for each in _metrics_of(package)]:
            parts += [f"## {heading}\n\n| metric | type | labels | what it is |\n| --- | --- | --- | --- |", *rows, ""]
    parts.append("## Labels\n\n| label | its values |\n| --- | --- |")
    return "\n".join([*parts, *(f"| `{label}` | {values} |" for label, values in metrics.LABELS.items()), ""])


def _metrics_of(package: str) -> Iterator[MetricWrapperBase]:
    """What its modules count, in the sequence in which it is written there."""
    for name in sorted(sys.modules):
        if name.startswith(f"{package}."):
            yield from (each for each in vars(sys.modules[name]).values() if isinstance(each, MetricWrapperBase))


def _metric(metric: MetricWrapperBase) -> str:
    (family,) = metric.describe()
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)
    return f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


def commands_page() -> str:
    """docs/cli.md."""
    root = typer.main.get_command(command_line())
    page = get_docs_for_click(obj=root, ctx=typer.Context(root), name="./orderbus", title="Commands")
    return page.replace("# Commands\n", "# Commands\n\nMade by `./orderbus contracts`; do not edit.\n", 1).rstrip() + "\n"


def _settings(settings: type[Settings], known: Collection[str]) -> list[str]:
    rows = ["| variable | default | what it is |", "| --- | --- | --- |"]
    for name, field in settings.model_fields.items():
        if name not in known:
            default = "must be set" if field.is_required() else _shown(field.default)
            rows.append(f"| `ORDERBUS_{name.upper()}` | {default} | {field.description} |")
    return rows


def _shown(default: object) -> str:
    match default:
        case None | "":
            return ""
        case SecretStr():
            return _shown(default.get_secret_value())
        case timedelta():
            return f"{default.total_seconds():g}"
        case str():
            return f"`{default}`"
        case _:
            return f"`{to_json(default, exclude_none=True).decode()}`"


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
