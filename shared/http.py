"""HTTP in: who calls is known and within limits before anything is read; a write request is one transaction that commits
before its answer leaves; errors are problem details."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from http import HTTPStatus
from typing import Annotated, Any, ClassVar

import orjson
import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import bounds, cards, codec, database, idempotency, limits, metrics, openapi, telemetry
from shared.auth import Principal
from shared.events import Envelope
from shared.problems import Problem, TooLarge, Unauthenticated, UnsupportedMediaType

log = structlog.get_logger()

PROBLEM = openapi.PROBLEM

PRIVATE = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
"""On every answer: people's names and addresses stay on no disk between here and who asked, and nothing is taken for a page."""

Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class Transactional(APIRoute):
    """A router's `route_class`. The caller's token and allowance come first, then the size of the body and a look for card
    numbers in it. A write that asks for `Tx` gets a transaction, which commits when the route has answered, and the
    Idempotency-Key; reads get none. Whatever is raised rolls everything back."""

    bears_token: ClassVar[bool] = True

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        writes = not set(options.get("methods") or ("GET",)) <= {"GET", "HEAD"}
        problems = openapi.problems(path, writes=writes, secured=bool(options.get("dependencies")))
        super().__init__(path, endpoint, **options | {"responses": problems | (options.get("responses") or {})})

    def get_route_handler(self) -> Answer:
        answer = super().get_route_handler()
        writes = not set(self.methods or ()) <= {"GET", "HEAD"}
        takes_json = self.body_field is not None

        async def guarded(request: Request) -> Response:
            principal = await _admit(request)
            if not writes:
                return await answer(request)
            if self.bears_token:
                if principal is None:
                    raise Unauthenticated("a bearer token is needed: Authorization: Bearer <token>")
                request = _Parsed(request.scope, request.receive)
                body = await read_body(request)
                if takes_json and body:
                    _refuse_unless_json(request.headers.get("content-type"))
                examine(body)
            return await _commit(answer, request)

        return guarded


class Signed(Transactional):
    """The `route_class` of webhooks. There is no token: the route depends on the partner's signature, and names that
    dependency before `Tx`, so that nothing is read and no transaction opened for what is not signed."""

    bears_token = False


class _Parsed(Request):
    """A request whose JSON is read by orjson, which takes neither NaN nor half of a surrogate pair."""

    async def json(self) -> Any:
        return orjson.loads(await self.body())


class _Repeated(Exception):
    """Not an error: the answer is there already."""

    def __init__(self, first: Response) -> None:
        self.first = first


async def _admit(request: Request) -> Principal | None:
    """Who calls, once that is counted. An invalid token counts against the address it came from."""
    state, address = request.app.state, limits.of_address(request.client.host if request.client else None)
    try:
        principal: Principal | None = await state.authenticator.authenticate(request.headers.get("authorization"))
    except Unauthenticated:
        await state.limiter.spend(address)
        raise
    request.state.principal = principal
    request.state.allowance = await state.limiter.spend(limits.of_token(principal.subject) if principal else address)
    return principal


async def read_body(request: Request) -> bytes:
    """The body, within bounds. Raises HTTPException: 413, 408 when it does not come in time, 400 when it does not come whole."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > bounds.MAX_BODY:
        raise _too_large()
    try:
        async with asyncio.timeout(bounds.BODY_PATIENCE):
            return await request.body()
    except TimeoutError:
        raise HTTPException(408, "the request body did not come") from None
    except ClientDisconnect:
        raise HTTPException(400, "the request body did not come whole") from None


def _refuse_unless_json(content_type: str | None) -> None:
    media_type = codec.media_type_of(content_type)
    if not (media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))):
        given = media_type[:100] or "not given"
        raise UnsupportedMediaType(f"content-type should be application/json; it is {given}")


def examine(body: bytes) -> None:
    """Refuse what would cost much to read, and card numbers."""
    bounds.check_json(body)
    cards.refuse(body)


async def _commit(answer: Answer, request: Request) -> Response:
    async with AsyncExitStack() as request.state.transaction:
        try:
            response = await answer(request)
        except _Repeated as repeated:
            return repeated.first
        if (keep := getattr(request.state, "keep", None)) is not None:
            await keep(response)
    return response


async def _tx(request: Request) -> database.Tx:
    """Opened when a route has been let in as far as to ask for it."""
    key = await idempotency.key_of(request, request.state.principal)
    opening = request.app.state.database.transaction([origin(request)])
    tx: database.Tx = await request.state.transaction.enter_async_context(opening)
    if key is not None:
        if (first := (await idempotency.claim(tx, [key])).get(key)) is not None:
            raise first if isinstance(first, Problem) else _Repeated(first)

        async def keep(response: Response) -> None:
            await idempotency.keep(tx, {key: response})

        request.state.keep = keep
    return tx


def origin(request: Request, subject: str | None = None) -> Envelope:
    """The request as the cause of what it announces, of the subject or of whatever it is: only its trace is known."""
    trace: telemetry.Request = request.state.trace
    return Envelope("", "", "http.request", "", trace.received_at, correlation_id=subject, traceparent=trace.admit())


async def _reader(request: Request) -> AsyncIterator[database.Reader]:
    async with request.app.state.database.pool.acquire() as connection:
        yield connection


Tx = Annotated[database.Tx, Depends(_tx)]
"""The transaction of a write route."""

Reader = Annotated[database.Reader, Depends(_reader, scope="function")]
"""A connection for a read route. It is given back before the answer is sent: who never reads it keeps none."""


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """RFC 9457."""
    body = more | {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(orjson.dumps(body), status, headers, media_type=PROBLEM)


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def application(title: str, description: str, lifespan: Lifespan | None) -> FastAPI:
    """A service's HTTP side: limits, timing, and one place that renders errors."""
    app = openapi.Application(title=title, description=description, version="1", lifespan=lifespan, redirect_slashes=False)
    app.add_middleware(_Edge)
    app.add_exception_handler(Problem, _render_problem)
    app.add_exception_handler(RequestValidationError, _render_validation)
    app.add_exception_handler(HTTPException, _render_http)
    return app


async def _render_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return problem(error.status, error.title, error.detail, error.headers, **error.more)


async def _render_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_told(each) for each in error.errors()[:100]]
    detail = "; ".join(f"{e['where']}: {e['what']}" for e in errors[:5])
    return problem(422, "Unprocessable content", cards.masked_text(detail), errors=cards.masked(errors))


def _told(error: Mapping[str, Any]) -> dict[str, str]:
    """Without the value: it may be personal."""
    if error["type"] == "json_invalid":  # where it is not JSON any more, FastAPI counts from the start of the body
        return {"where": "body", "what": f"not JSON: {error['ctx']['error']}, at character {error['loc'][-1]}"}
    return {"where": ".".join(map(str, error["loc"]))[:200], "what": error["msg"]}


async def _render_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status, detail, headers = HTTPStatus(error.status_code), str(error.detail), dict(error.headers or {})
    title = next((kind.title for kind in Problem.__subclasses__() if kind.status == status), status.phrase)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = _allowed(request)
        detail, headers = f"{request.method} is not for this path; these are: {allowed}", {"allow": allowed}
    elif status == HTTPStatus.NOT_FOUND and detail == status.phrase:
        detail = "there is nothing at this path"
    return problem(status, title, detail, headers)


def _allowed(request: Request) -> str:
    """What is served at the path, by any of its routes: the router names those of the first."""
    routes = request.app.router.routes
    return ", ".join(
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method.replace("HEAD", "GET")})[0] is Match.FULL for route in routes)
    )


def _render_failure(path: str, error: Exception) -> Response:
    if database.is_infrastructure(error):
        log.warning("request failed for want of Postgres", path=path, error=repr(error))
        return problem(503, "Service unavailable", "try again shortly", {"retry-after": "1"})
    log.error("request failed", path=path, exc_info=error)
    return problem(500, "Internal server error", "this is our fault, and has been logged")


def _too_large() -> HTTPException:
    # FastAPI lets its own kind of exception through and hides all others behind a 400
    return HTTPException(TooLarge.status, f"the request body may have {bounds.MAX_BODY} bytes")


class _Edge:
    """Outermost: bounds the query and the body, times the answer, and lets no failure out but as a problem."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # as GET; the server leaves the body out
            scope = {**scope, "method": "GET"}
        started, status, size = time.perf_counter(), 0, 0
        state = scope.setdefault("state", {})
        trace = state["trace"] = telemetry.Request(scope)
        failed: Exception | None = None

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > bounds.MAX_BODY:
                raise _too_large()
            return message

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                allowance = state.get("allowance") or {}
                headers = [(name.encode(), value.encode()) for name, value in allowance.items()]
                message = {**message, "headers": [*message.get("headers", ()), *PRIVATE, *headers]}
            await send(message)

        try:
            if len(scope["query_string"]) > bounds.MAX_QUERY:
                too_long = problem(414, "URI too long", f"the query may have {bounds.MAX_QUERY} bytes")
                await too_long(scope, bounded, noted)
            else:
                await self._app(scope, bounded, noted)
        except Exception as error:
            failed = error
            # whoever lets it go on has it printed whole by the server, with whatever personal data is in it
            failure = _render_failure(getattr(scope.get("route"), "path", "unmatched"), error)
            if status == 0:
                await failure(scope, bounded, noted)
            else:
                raise ConnectionAbortedError("the answer had begun") from None
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            metrics.http_seconds.labels(scope["method"], route, status or 500).observe(time.perf_counter() - started)
            trace.end(route, status or 500, failed)
