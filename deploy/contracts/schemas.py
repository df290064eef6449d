"""The committed JSON Schema of every event (draft 2020-12), and how it may change."""

import json
from pathlib import Path
from typing import Any

from deploy.contracts.compatibility import breaks
from shared.events import EVENTS, Event

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


def schema_of(event: type[Event]) -> dict[str, Any]:
    """The schema of an event's `data`, with its name and version."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:orderbus:{event.type}:{event.version}",
        **event.model_json_schema(),
    }


def file_of(event: type[Event]) -> Path:
    """Where the schema is kept."""
    return FOLDER / f"{event.type}.v{event.version}.json"


def rendered(event: type[Event]) -> str:
    """The file's content."""
    return json.dumps(schema_of(event), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def write() -> list[str]:
    """Bring the committed schemas up to date. Raises BrokenContract when a consumer would break; nothing is written
    then. The names of the files that changed."""
    broken = {
        event.type: found
        for event in EVENTS.values()
        if file_of(event).exists() and (found := breaks(json.loads(file_of(event).read_text()), schema_of(event)))
    }
    if broken:
        raise BrokenContract(broken)
    FOLDER.mkdir(parents=True, exist_ok=True)
    changed = [event for event in EVENTS.values() if not is_current(event)]
    for event in changed:
        file_of(event).write_text(rendered(event))
    return [file_of(event).name for event in changed]


def is_current(event: type[Event]) -> bool:
    """The committed schema is what the class says."""
    return file_of(event).exists() and file_of(event).read_text() == rendered(event)


class BrokenContract(Exception):
    """Somebody who reads or publishes these events would break; raise the event's version instead."""

    def __init__(self, broken: dict[str, list[str]]) -> None:
        super().__init__("\n".join(f"{event}: {what}" for event, found in broken.items() for what in found))
