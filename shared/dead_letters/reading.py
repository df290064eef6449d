"""Dead letters as an operator sees them. What may be personal, the event and the stack, is in `LetterWhole` alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel

from shared.database import Reader, Row


class State(StrEnum):
    """Retried at a known time, or waiting for a person; or closed: handled at last, or discarded by a person."""

    RETRYING = "retrying"
    DEAD = "dead"
    HANDLED = "handled"
    DISCARDED = "discarded"


OPEN = (State.RETRYING, State.DEAD)

GIST = r"regexp_replace(reason, '\S*\d\S*', '…', 'g')"
"""A reason without what differs from one event to the next: words that have a digit in them are ids, amounts, times."""

MATCHING = rf"""
    ($1::uuid[] IS NULL OR id = any($1)) AND ($2::text IS NULL OR event_type = $2) AND state = any($4::text[])
    AND ($3::text IS NULL OR position(lower($3) IN lower(reason)) > 0 OR position(lower($3) IN lower({GIST})) > 0)
"""

_COLUMNS = """
    id, event_type AS type, event_id, source, subject, exchange, routing_key, queue, reason, state, attempts,
    first_failed_at, last_failed_at, next_attempt_at, closed_at, closed_by
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters: all that meet every condition given. `reason` is a part of the reason, or of its gist."""

    ids: Sequence[UUID] | None = None
    type: str | None = None
    reason: str | None = None
    states: Sequence[State] = OPEN

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What MATCHING asks for, $1 to $4."""
        return self.ids, self.type, self.reason, [state.value for state in self.states]


class Group(BaseModel):
    """Letters of one type with the same gist of a reason; `example` is the one that failed last."""

    type: str | None
    reason: str
    count: int
    retrying: int
    dead: int
    first_failed_at: datetime
    last_failed_at: datetime
    example: UUID


class LetterView(BaseModel):
    """One dead letter. `type`, `event_id`, `source` and `subject` are null where they could not be read; `exchange` and
    `routing_key`, which it was published with, and the `queue` it stood in, where they were not kept."""

    id: UUID
    type: str | None
    event_id: str | None
    source: str | None
    subject: str | None
    exchange: str | None
    routing_key: str | None
    queue: str | None
    reason: str
    state: State
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    next_attempt_at: datetime | None
    closed_at: datetime | None
    closed_by: str | None


class Decision(BaseModel):
    """What a person decided of a letter. `mended`: the event was replaced."""

    decision: str
    actor: str
    why: str
    at: datetime
    mended: bool


class LetterWhole(LetterView):
    """One dead letter with what was decided of it and, for those who may see it, the event whole: as JSON (`event`)
    or, where it is none, as text (`body`); and the stack."""

    decisions: list[Decision]
    may_see_event: bool
    event: Any = None
    body: str | None = None
    stack: str | None = None


async def groups(reader: Reader, selection: Selection) -> list[Group]:
    """What there is, most frequent first."""
    rows = await reader.fetch(
        f"""
        SELECT event_type AS type, {GIST} AS reason, count(*), count(*) FILTER (WHERE state = 'retrying') AS retrying,
               count(*) FILTER (WHERE state = 'dead') AS dead, min(first_failed_at) AS first_failed_at,
               max(last_failed_at) AS last_failed_at, (array_agg(id ORDER BY last_failed_at DESC, id))[1] AS example
          FROM dead_letter WHERE {MATCHING}
         GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2 LIMIT 1000
        """,  # noqa: S608 -- both are literals above
        *selection.arguments,
    )
    return [Group(**dict(row)) for row in rows]


async def letters(reader: Reader, selection: Selection, page: int, page_size: int) -> tuple[list[LetterView], bool]:
    """One page, the newest first, and whether there are more. One that is tried again while pages are turned stays where it was:
    nobody who reads all of them misses it."""
    rows = await reader.fetch(
        f"""
        SELECT {_COLUMNS} FROM dead_letter WHERE {MATCHING} ORDER BY id DESC LIMIT $5 OFFSET $6
        """,  # noqa: S608 -- both are literals above
        *selection.arguments,
        page_size + 1,
        (page - 1) * page_size,
    )
    return [LetterView(**dict(row)) for row in rows[:page_size]], len(rows) > page_size


async def letter(reader: Reader, id: UUID, *, may_see_event: bool) -> LetterWhole | None:
    """One letter, or None."""
    row = await reader.fetchrow(f"SELECT {_COLUMNS}, body, stack FROM dead_letter WHERE id = $1", id)  # noqa: S608
    if row is None:
        return None
    known = dict(row)
    body, stack = known.pop("body"), known.pop("stack")
    whole = {"stack": stack, **_shown(body)} if may_see_event else {}
    return LetterWhole(**known, decisions=await _decisions(reader, id), may_see_event=may_see_event, **whole)


async def _decisions(reader: Reader, id: UUID) -> list[Decision]:
    rows: list[Row] = await reader.fetch(
        """
        SELECT decision, actor, why, at, body_before IS NOT NULL AS mended
          FROM dead_letter_decision WHERE letter_id = $1 ORDER BY at, id
        """,
        id,
    )
    return [Decision(**dict(row)) for row in rows]


def _shown(body: bytes) -> dict[str, Any]:
    try:
        return {"event": orjson.loads(body)}
    except orjson.JSONDecodeError:
        return {"body": body.decode(errors="backslashreplace")}
