"""Dead letters over HTTP: the same for every service. Reading takes ops:read; the events themselves, which may hold
names and addresses, and every decision take ops:dead-letters."""

from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.auth import Caller, scope
from shared.database import Reader as AnyReader
from shared.dead_letters import deciding, reading
from shared.dead_letters.reading import OPEN, Group, LetterView, LetterWhole, Selection, State
from shared.events.fields import text
from shared.http import Reader, Transactional, Tx
from shared.paging import Page, PageSize, following
from shared.problems import NotFound
from shared.subscriptions import Subscriptions

DECIDES = "ops:dead-letters"

Id = Annotated[list[UUID] | None, Query(max_length=50, description="Of these ids.")]
Type = Annotated[Annotated[str, text(256)] | None, Query(description="Of this event type.")]
Reason = Annotated[Annotated[str, text(500)] | None, Query(description="With this in their reason; `…` is a word with a digit.")]
Asked = Annotated[list[State] | None, Query(max_length=4, description="In these states; retrying and dead unless said.")]


class Letters(BaseModel):
    """A page of letters, what failed last first; `next_page` is null on the last."""

    letters: list[LetterView]
    page: int
    next_page: int | None


class Groups(BaseModel):
    """Letters by type and gist of their reason, most frequent first."""

    groups: list[Group]


class Wish(BaseModel):
    """Which letters, and why. Letters meet every condition that is given; with none, `all` says that all open ones are
    meant. With `dry_run` nothing is done but to say what would be."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)] | None = None
    type: Annotated[str, text(256)] | None = None
    reason: Annotated[str, text(500)] | None = None
    states: Annotated[list[State], Field(min_length=1, max_length=4)] | None = None
    all: bool = False
    why: Annotated[str, text(500)]
    dry_run: bool = False

    @model_validator(mode="after")
    def _selects(self) -> Self:
        if not (self.ids or self.type or self.reason or self.states or self.all):
            raise ValueError("say which letters: ids, type, reason, states, or all")
        return self

    @property
    def selection(self) -> Selection:
        """What is to be decided on."""
        return Selection(self.ids, self.type, self.reason, self.states or OPEN)


class Replay(Wish):
    """`event` takes the place of one unreadable letter's: a CloudEvent, under the same source and id where these could
    be read."""

    event: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _mends_one(self) -> Self:
        if self.event is not None and len(self.ids or ()) != 1:
            raise ValueError("an event replaces that of one letter: give its id alone in `ids`")
        return self


class Decided(BaseModel):
    """How many letters it was, or with `dry_run` would have been; and which, by type and gist of their reason."""

    decision: str
    dry_run: bool
    count: int
    groups: list[Group]


def router(heard: Subscriptions) -> APIRouter:
    """The routes of a service that handles these events."""
    routes = APIRouter(prefix="/api/dead-letters", tags=["dead letters"], route_class=Transactional)

    @routes.get("", dependencies=[scope("ops:read")])
    async def list_dead_letters(
        reader: Reader,
        id: Id = None,
        type: Type = None,
        reason: Reason = None,
        state: Asked = None,
        page: Page = 1,
        page_size: PageSize = 20,
    ) -> Letters:
        """Events that could not be handled, each with its reason; without the events themselves."""
        found, more = await reading.letters(reader, Selection(id, type, reason, state or OPEN), page, page_size)
        return Letters(letters=found, page=page, next_page=following(page, more))

    @routes.get("/groups", dependencies=[scope("ops:read")])
    async def group_dead_letters(
        reader: Reader, id: Id = None, type: Type = None, reason: Reason = None, state: Asked = None
    ) -> Groups:
        """Events that could not be handled, counted by type and by what their reasons have in common."""
        return Groups(groups=await reading.groups(reader, Selection(id, type, reason, state or OPEN)))

    @routes.get("/{letter_id}", dependencies=[scope("ops:read")])
    async def get_dead_letter(letter_id: UUID, reader: Reader, caller: Caller) -> LetterWhole:
        """One letter with what was decided of it; its event whole and its stack for a token with ops:dead-letters."""
        found = await reading.letter(reader, letter_id, may_see_event=DECIDES in caller.scopes)
        if found is None:
            raise NotFound(f"there is no dead letter {letter_id} here")
        return found

    @routes.post("/replay", dependencies=[scope(DECIDES)])
    async def replay_dead_letters(wish: Replay, tx: Tx, caller: Caller) -> Decided:
        """Try letters again, now, as if for the first time; whatever took effect before takes effect once all the same.
        409 when one of them is handled or discarded already, 404 when an id is unknown: then none is replayed."""
        ids = await deciding.choose(tx, wish.selection, "replayed")
        mending = await deciding.mend(tx, ids[0], wish.event, heard) if wish.event is not None else None
        decided = await _decided(tx, "replay", wish, ids)
        if not wish.dry_run:
            await deciding.replay(tx, ids, caller.subject, wish.why, mending)
        return decided

    @routes.post("/discard", dependencies=[scope(DECIDES)])
    async def discard_dead_letters(wish: Wish, tx: Tx, caller: Caller) -> Decided:
        """Give letters up: they stay on record, with who and why. 409 when one of them is handled or discarded already,
        404 when an id is unknown: then none is discarded."""
        ids = await deciding.choose(tx, wish.selection, "discarded")
        decided = await _decided(tx, "discard", wish, ids)
        if not wish.dry_run:
            await deciding.discard(tx, ids, caller.subject, wish.why)
        return decided

    return routes


async def _decided(reader: AnyReader, decision: str, wish: Wish, ids: list[UUID]) -> Decided:
    """What the letters are before anything is done to them."""
    groups = await reading.groups(reader, Selection(ids=ids))
    return Decided(decision=decision, dry_run=wish.dry_run, count=len(ids), groups=groups)
