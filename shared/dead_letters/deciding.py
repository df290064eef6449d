"""What a person decides of dead letters. Each decision is on record with who and why, in the same transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson
import uuid_utils.compat

from shared.database import Tx
from shared.dead_letters.letter import origin_of, read
from shared.dead_letters.reading import MATCHING, OPEN, Selection, State
from shared.dead_letters.retrying import NOBODYS_WORD
from shared.events import Envelope, Event
from shared.origin import Origin
from shared.problems import Conflict, NotFound, Unprocessable
from shared.subscriptions import Subscriptions


@dataclass(frozen=True, slots=True)
class Mending:
    """An event that takes the place of what could not be read."""

    body: bytes
    envelope: Envelope
    before: bytes


async def choose(tx: Tx, selection: Selection, wish: str) -> list[UUID]:
    """The selected letters, locked; always in the sequence of their ids, so that two decisions wait for each other. A
    letter that is being tried is waited for.

    Raises NotFound for an unknown id and Conflict for a letter that is closed: nothing more can be decided of it.
    """
    asked = replace(selection, states=tuple(State)) if selection.ids else selection
    rows = await tx.fetch(
        f"SELECT id, state, closed_by, closed_at FROM dead_letter WHERE {MATCHING} ORDER BY id FOR UPDATE",  # noqa: S608
        *asked.arguments,
    )
    found = {row["id"]: row for row in rows}
    if missing := [str(id) for id in selection.ids or () if id not in found]:
        raise NotFound(f"there is no such dead letter here: {', '.join(missing[:5])}", letters=missing)
    for row in rows:
        if row["state"] not in OPEN:
            raise Conflict(
                f"letter {row['id']} was {row['state']} by {row['closed_by']} at {row['closed_at']:%Y-%m-%d %H:%M:%S} UTC: "
                f"it cannot be {wish}",
                letter=str(row["id"]),
                letter_state=row["state"],
            )
    return list(found)


async def replay(tx: Tx, ids: Sequence[UUID], actor: str, why: str, mending: Mending | None = None) -> None:
    """The chosen letters are due now and their attempts start anew: the retry handles each through the inbox, so that
    one which took effect before, or is replayed twice, takes effect once."""
    if mending is not None:
        await _rewrite(tx, ids[0], mending)
    await tx.execute(
        "UPDATE dead_letter SET state = 'retrying', attempts = 0, next_attempt_at = $2 WHERE id = any($1::uuid[])", ids, tx.now
    )
    await _record(tx, "replay", ids, actor, why, mending.before if mending else None)


async def discard(tx: Tx, ids: Sequence[UUID], actor: str, why: str) -> None:
    """The chosen letters stay on record and are never tried again."""
    await tx.execute(
        """
        UPDATE dead_letter SET state = 'discarded', next_attempt_at = NULL, closed_at = $2, closed_by = $3
         WHERE id = any($1::uuid[])
        """,
        ids,
        tx.now,
        actor,
    )
    await _record(tx, "discard", ids, actor, why)


async def mend(tx: Tx, id: UUID, event: dict[str, Any], heard: Subscriptions) -> Mending:
    """What a replay puts in the place of an unreadable letter's event.

    Raises Unprocessable for what the service could not handle or the letter's publisher may not say, and Conflict for a
    letter that can be read, as what others have said is not rewritten, and for one whose publisher is not known.
    """
    letter = await tx.fetchrow("SELECT body, exchange, routing_key, queue FROM dead_letter WHERE id = $1", id)
    assert letter is not None, "choose has found it"
    before, origin = letter["body"], origin_of(letter)
    unreadable = read(before).unreadable
    if not unreadable:
        raise Conflict(f"the event of letter {id} can be read, so it is not replaced; replay it, or discard it", letter=str(id))
    if origin is None:
        raise Conflict(NOBODYS_WORD, letter=str(id))
    body = _bytes(event)
    return Mending(body, accepted(body, unreadable[0].envelope, origin, heard).envelope, before)


def accepted(body: bytes, was: Envelope | None, origin: Origin, heard: Subscriptions) -> Event:
    """The event that replaces an unreadable one. It stays the same event, as far as it could be told which it was: the
    inbox knows it by source and id; and it stays the word of who published it. Raises Unprocessable."""
    decoded = read(body, origin)
    if decoded.unreadable:
        raise Unprocessable(f"this event cannot be taken either: {decoded.unreadable[0].reason}")
    event = decoded.events[0]
    envelope, subscription = event.envelope, heard.get(event.type)
    if was is not None and (was.source, was.id) != (envelope.source, envelope.id):
        raise Unprocessable(f"source and id should stay {was.source} and {was.id}: by them an event is known")
    if subscription is None or not subscription.wants(envelope):
        raise Unprocessable(f"this service does not act on {envelope.type} from {envelope.source}")
    if "\x00" in f"{envelope.id}{envelope.source}{envelope.subject}":
        raise Unprocessable("id, source and subject should have no NUL in them")
    return event


async def _rewrite(tx: Tx, id: UUID, mending: Mending) -> None:
    envelope = mending.envelope
    await tx.execute(
        "UPDATE dead_letter SET body = $2, event_id = $3, event_type = $4, source = $5, subject = $6 WHERE id = $1",
        id,
        mending.body,
        envelope.id,
        envelope.type,
        envelope.source,
        envelope.subject,
    )


def _bytes(event: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(event)
    except TypeError as error:  # half a character, or a number of more than 64 bits
        raise Unprocessable(f"the event cannot be written as JSON: {error}") from None


async def _record(tx: Tx, decision: str, ids: Sequence[UUID], actor: str, why: str, before: bytes | None = None) -> None:
    await tx.execute(
        """
        INSERT INTO dead_letter_decision (id, letter_id, decision, actor, why, at, body_before)
        SELECT id, letter_id, $3, $4, $5, $6, $7 FROM unnest($1::uuid[], $2::uuid[]) decided (id, letter_id)
        """,
        [uuid_utils.compat.uuid7() for _ in ids],
        list(ids),
        decision,
        actor,
        why,
        tx.now,
        before,
    )
