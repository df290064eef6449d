"""Group commit for HTTP: writes of one kind that come while a transaction runs share the next one. A write that comes alone
goes at once; one that cannot be done, or breaks something, is answered so, and its neighbours are not."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from fastapi import Request, Response

from shared import idempotency, telemetry
from shared.batching import Batcher
from shared.database import Database, Tx, is_infrastructure
from shared.events import Envelope
from shared.http import origin
from shared.idempotency import Key
from shared.problems import Problem

AT_ONCE = 200
"""Writes of one transaction."""

W = TypeVar("W")

Write = Callable[[Sequence[W], Tx], Awaitable[Sequence[Response | Problem]]]
"""Does what is wished for, and answers each wish in its place. A wish answered with a problem has left nothing behind."""


@dataclass(eq=False, slots=True)
class _Asked(Generic[W]):
    """One request, and what came of it."""

    wish: W
    cause: Envelope
    key: Key | None
    answer: Response | Exception | None = None


class Joined(Generic[W]):
    """A write that many requests may share. The route hands in its wish and returns what it is given."""

    def __init__(self, write: Write[W]) -> None:
        self._write = write
        self._batchers: WeakKeyDictionary[Database, Batcher[_Asked[W]]] = WeakKeyDictionary()

    async def __call__(self, request: Request, wish: W, subject: str | None = None) -> Response:
        """The answer, once it is committed; a repeated Idempotency-Key gets the first one. `subject`: the order that the
        trace goes on with. Raises the problem that the wish was answered with, or what Postgres raised."""
        key = await idempotency.key_of(request, request.state.principal)
        asked = _Asked(wish, origin(request, subject), key)
        await self._batcher(request.app.state.database).submit(lambda: [asked])
        assert asked.answer is not None
        if isinstance(asked.answer, Exception):
            raise asked.answer
        return asked.answer

    def _batcher(self, database: Database) -> Batcher[_Asked[W]]:
        if database not in self._batchers:
            self._batchers[database] = Batcher(partial(self._answer_all, database), AT_ONCE, gathers=True)
        return self._batchers[database]

    async def _answer_all(self, database: Database, asked: Sequence[_Asked[W]]) -> None:
        for once in _without_repeats(asked):
            await self._answer_together(database, once)

    async def _answer_together(self, database: Database, asked: Sequence[_Asked[W]]) -> None:
        try:
            await self._answer(database, asked)
        except Exception as error:
            if is_infrastructure(error) or len(asked) == 1:
                for each in asked:
                    each.answer = error
            else:  # one of them breaks something: each alone then, and only that one fails
                for each in asked:
                    await self._answer_together(database, [each])

    async def _answer(self, database: Database, asked: Sequence[_Asked[W]]) -> None:
        causes = [each.cause for each in asked]
        with telemetry.working("commit", causes):
            async with database.transaction(causes) as tx:
                answered = await idempotency.claim(tx, [each.key for each in asked if each.key])
                fresh = [each for each in asked if each.key not in answered]
                answers = await self._write([each.wish for each in fresh], tx) if fresh else []
                given = list(zip(fresh, answers, strict=True))
                await idempotency.keep(tx, {each.key: answer for each, answer in given if each.key})
        for each in asked:
            each.answer = answered.get(each.key) if each.key else None
        for each, answer in given:
            each.answer = answer


def _without_repeats(asked: Sequence[_Asked[W]]) -> Iterator[list[_Asked[W]]]:
    """A key once in each transaction: who repeats it is answered after the first."""
    left = list(asked)
    while left:
        places: set[tuple[str, str]] = set()
        once: list[_Asked[W]] = []
        again: list[_Asked[W]] = []
        for each in left:
            repeats = each.key is not None and each.key.place in places
            (again if repeats else once).append(each)
            if each.key is not None:
                places.add(each.key.place)
        yield once
        left = again
