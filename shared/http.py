"""HTTP in: a write request is one transaction that commits before its answer leaves; errors are problem details."""

import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

import orjson
import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import database, idempotency, metrics, telemetry
from shared.events import Envelope
from shared.problems import Problem

log = structlog.get_logger()

MAX_BODY = 1024 * 1024
PROBLEM = "application/problem+json"


class Transactional(APIRoute):
    """A router's `route_class`: writes get a transaction, which commits when the route has answered, and the
    Idempotency-Key; reads get none. Whatever is raised rolls everything back."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        if set(self.methods or ()) <= {"GET", "HEAD"}:
            return answer

        async def answer_in_transaction(request: Request) -> Response:
            principal = request.app.state.authenticator.authenticate(request.headers.get("authorization"))
            key = request.headers.get("idempotency-key") if principal else None
            async with request.app.state.database.transaction([_origin(request)]) as tx:
                request.state.tx = tx
                if principal is None or key is None:
                    return await answer(request)
                if (first := await idempotency.claim(tx, principal.subject, key, request)) is not None:
                    return first
                response = await answer(request)
                await idempotency.keep(tx, principal.subject, key, response)
            return response

        return answer_in_transaction


def _origin(request: Request) -> Envelope:
    """The request as the cause of what it announces: only its trace is known."""
    given = request.headers.get("traceparent")
    traceparent = given if telemetry.read_traceparent(given) else telemetry.new_traceparent()
    return Envelope("", "", "http.request", "", request.state.received_at, traceparent=traceparent)


def _tx(request: Request) -> database.Tx:
    tx: database.Tx = request.state.tx
    return tx


async def _reader(request: Request) -> AsyncIterator[database.Reader]:
    async with request.app.state.database.pool.acquire() as connection:
        yield connection


Tx = Annotated[database.Tx, Depends(_tx)]
"""The transaction of a write route."""

Reader = Annotated[database.Reader, Depends(_reader)]
"""A connection for a read route."""


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """RFC 9457."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return Response(orjson.dumps(body), status, headers, media_type=PROBLEM)


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def application(title: str, description: str, lifespan: Lifespan | None) -> FastAPI:
    """A service's HTTP side: limits, timing, and one place that renders errors."""
    app = FastAPI(title=title, description=description, version="1", lifespan=lifespan, redirect_slashes=False)
    app.add_middleware(_Edge)
    app.add_exception_handler(Problem, _render_problem)
    app.add_exception_handler(RequestValidationError, _render_validation)
    app.add_exception_handler(HTTPException, _render_http)
    app.add_exception_handler(Exception, _render_failure)
    return app


async def _render_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else None
    return problem(error.status, error.title, error.detail, headers, **error.more)


async def _render_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # the values are left out: they may be personal
    errors = [{"where": ".".join(map(str, e["loc"])), "what": e["msg"]} for e in error.errors()]
    detail = "; ".join(f"{e['where']}: {e['what']}" for e in errors[:5])
    return problem(422, "Unprocessable content", detail, errors=errors)


async def _render_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), str(error.detail), dict(error.headers or {}))


async def _render_failure(request: Request, error: Exception) -> Response:
    if database.is_infrastructure(error):
        log.warning("request failed for want of Postgres", path=request.url.path, error=repr(error))
        return problem(503, "Service unavailable", "try again shortly", {"retry-after": "1"})
    log.error("request failed", path=request.url.path, exc_info=error)
    return problem(500, "Internal server error", "this is our fault, and has been logged")


class _Edge:
    """Outermost: bounds the body, times the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, size = time.perf_counter(), 500, 0
        scope.setdefault("state", {})["received_at"] = telemetry.now()

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                # FastAPI lets its own kind of exception through and hides all others behind a 400
                raise HTTPException(413, f"the request body may have {MAX_BODY} bytes")
            return message

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, bounded, noted)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            metrics.http_seconds.labels(scope["method"], route, status).observe(time.perf_counter() - started)
