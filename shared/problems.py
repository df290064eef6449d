"""Business errors. Each carries its own HTTP status; shared.http renders them as RFC 9457 problem details."""

from typing import Any, ClassVar


class Problem(Exception):
    """Something a caller asked for that cannot be done. `detail` is for people, `more` for programs."""

    status: ClassVar[int] = 400
    title: ClassVar[str] = "Bad request"

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.more = more

    @property
    def headers(self) -> dict[str, str]:
        """What the answer's headers say beside."""
        return {}


class Unauthenticated(Problem):
    status, title = 401, "Unauthenticated"

    @property
    def headers(self) -> dict[str, str]:
        return {"www-authenticate": "Bearer"}


class Forbidden(Problem):
    status, title = 403, "Forbidden"


class NotFound(Problem):
    status, title = 404, "Not found"


class Conflict(Problem):
    """The thing exists, but not in a state in which this can be done."""

    status, title = 409, "Conflict"


class Unprocessable(Problem):
    """Well-formed, but it makes no sense; `errors` in `more` says which part."""

    status, title = 422, "Unprocessable content"


class TooLarge(Problem):
    """More than anybody may send at a time."""

    status, title = 413, "Content too large"


class UnsupportedMediaType(Problem):
    """The body is not in a form that is read here."""

    status, title = 415, "Unsupported media type"


class TooManyRequests(Problem):
    """The caller has used up its allowance; `retry_after` is in seconds."""

    status, title = 429, "Too many requests"

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self.retry_after)}


class Unavailable(Problem):
    """What is needed to answer cannot be reached; the same will succeed later."""

    status, title = 503, "Service unavailable"

    @property
    def headers(self) -> dict[str, str]:
        return {"retry-after": "1"}
