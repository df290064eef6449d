"""Idempotency keys: a repeated request is answered, not run again."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import orjson

from deploy.sandbox.stripe import errors

LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer. `held` ones are remembered at once, but the caller is to wait for his."""

    status: int
    body: bytes
    held: bool = False


@dataclass(slots=True)
class _Use:
    request: object
    answer: Answer | None = None


class Replays:
    """The first use of every key. Nothing is forgotten while the sandbox runs; Stripe keeps keys for a day."""

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}

    async def once(self, key: str, request: object, run: Callable[[], Awaitable[Answer]]) -> tuple[Answer, bool]:
        """The answer of `run`, or the one that this key got before, and whether it is that.

        Raises StripeError if the key came with another request, or its first use is still running. What `run` raises
        is remembered or not, as the error says.
        """
        if not key:
            return await _answered(run)
        if len(key) > LONGEST_KEY:
            raise errors.invalid("Idempotency-Key", f"The key is longer than {LONGEST_KEY} characters.")
        use = self._uses.get(key)
        if use is not None:
            if use.request != request:
                raise errors.key_used_otherwise(key)
            if use.answer is None:
                raise errors.key_in_use(key)
            return use.answer, True
        use = self._uses[key] = _Use(request)
        try:
            use.answer, _ = await _answered(run)
        finally:
            if use.answer is None:
                del self._uses[key]
        return use.answer, False


async def _answered(run: Callable[[], Awaitable[Answer]]) -> tuple[Answer, bool]:
    try:
        return await run(), False
    except errors.StripeError as error:
        if not error.remembered:
            raise
        return answer_with(error.document, error.status), False


def answer_with(document: Mapping[str, object], status: int = 200, *, held: bool = False) -> Answer:
    return Answer(status, orjson.dumps(document), held)
