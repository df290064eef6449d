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


class Unauthenticated(Problem):
    status, title = 401, "Unauthenticated"


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
