"""Lists come in pages, newest first."""

from typing import Annotated

from fastapi import Query

LAST = 10_000
"""Whoever pages further than this wants a narrower question: each page is counted off from the start."""

Page = Annotated[int, Query(ge=1, le=LAST)]
PageSize = Annotated[int, Query(ge=1, le=100)]


def following(page: int, more: bool) -> int | None:
    """The page after this one, if there is more and it may be asked for."""
    return page + 1 if more and page < LAST else None
