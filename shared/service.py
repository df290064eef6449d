"""A service: its HTTP API, its event handlers and its jobs around one pool, one consumer and one relay."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel

from shared import asyncapi, database, dead_letters, inbox, limits, measuring, memory, metrics, partners, retention, telemetry
from shared.auth import Authenticator
from shared.bus.consumer import Consumer
from shared.bus.publisher import Publisher
from shared.database import Database, Journal, Pool
from shared.dead_letters import api as dead_letters_api
from shared.events import Event
from shared.http import Lifespan, application
from shared.intents import Job, Worker
from shared.outbox import Relay
from shared.server import BoundedHttp
from shared.settings import Settings, told_in_words
from shared.subscriptions import Subscriptions
from shared.timers import Duty, repeat, run_duty

log = structlog.get_logger()

KEPT_ALIVE = 75
"""Seconds that a connection may rest between two requests. Longer than load balancers let theirs rest, a minute as a rule: who is
sent requests must not be the first to close, or one that is sent in that moment is answered by a reset."""


@dataclass(frozen=True)
class Service:
    """What a service is made of; nothing runs yet."""

    name: str
    description: str
    settings: Callable[[], Settings]
    api: Sequence[APIRouter]
    handlers: Subscriptions
    duties: Sequence[Duty] = ()
    jobs: Sequence[Job[Any, Any]] = ()
    journal: Journal | None = None
    announces: Sequence[type[Event]] = field(default=())
    measure: measuring.Measure | None = None

    def app(self, settings: Settings) -> FastAPI:
        """The service as an ASGI application; its lifespan starts and stops everything else."""

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            async with running(self, settings, app):
                yield

        return self._application(lifespan)

    def openapi(self) -> dict[str, Any]:
        """The contract of its HTTP API, without starting it."""
        return self._application(None).openapi()

    def _application(self, lifespan: Lifespan | None) -> FastAPI:
        app = application(f"Orderbus {self.name}", self.description, lifespan)
        for router in (*self.api, dead_letters_api.router(self.handlers), _operations(self)):
            app.include_router(router)
        return app

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then finish what is in hand."""
        with told_in_words():
            settings = self.settings()
        telemetry.configure(settings, self.name)
        uvicorn.run(
            self.app(settings),
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=10,
            timeout_keep_alive=KEPT_ALIVE,
            server_header=False,
            http=BoundedHttp,
            log_config=None,
        )


class Readiness(BaseModel):
    """Whether each of the servers answers."""

    postgres: bool
    rabbitmq: bool


@asynccontextmanager
async def running(service: Service, settings: Settings, app: FastAPI) -> AsyncIterator[None]:
    """Everything that runs beside the HTTP server. Stops in the opposite order: first nothing more comes in, then what
    is in hand is finished, then what was announced is published."""
    async with AsyncExitStack() as stack:
        stack.callback(telemetry.flush)
        pool = await database.connect(settings, service.name)
        stack.push_async_callback(_close, pool)
        publisher = Publisher(settings, service.name, await _subscribed_types(pool))
        await publisher.start()
        stack.push_async_callback(publisher.stop)
        relay = Relay(pool, publisher)
        stack.push_async_callback(relay.drain)
        workers: dict[str, Worker[Any, Any]] = {}
        alone_since = await pool.fetchval("SELECT max(alone_since) FROM release")
        db = Database(
            pool,
            service.name,
            relay.publish,
            lambda job: workers[job].wake(),
            service.journal,
            alone_since,
            settings.inbox_days,
        )
        workers |= {job.name: Worker(job, db, settings.partner_calls) for job in service.jobs}
        consumer = Consumer(settings, service.name, service.handlers, db)
        app.state.database, app.state.consumer, app.state.publisher = db, consumer, publisher
        app.state.authenticator = Authenticator(settings)
        app.state.limiter = await stack.enter_async_context(limits.limiter(settings))
        stack.push_async_callback(partners.close)
        await stack.enter_async_context(_background([relay.run(), relay.tidy()]))
        await stack.enter_async_context(
            _background(
                [
                    measuring.feel_lag(),
                    *(run_duty(duty, db) for duty in service.duties),
                    *(worker.run() for worker in workers.values()),
                    repeat(relay.sweep, timedelta(seconds=1), "sweep"),
                    repeat(lambda: _retry_dead_letters(service, db), timedelta(seconds=1), "retry_dead_letters"),
                    repeat(lambda: retention.forget(pool, settings), timedelta(hours=1), "forget"),
                    repeat(lambda: _feel(pool), timedelta(seconds=5), "feel"),
                    repeat(memory.give_back, timedelta(seconds=5), "give_back"),
                    repeat(lambda: _measure(service, pool), timedelta(seconds=5), "measure"),
                ]
            )
        )
        await consumer.start()
        await stack.enter_async_context(_background([consumer.run()]))
        stack.push_async_callback(consumer.stop)
        memory.collect_rarely()
        log.info("ready", port=settings.port)
        yield
        log.info("stopping")


@asynccontextmanager
async def _background(coroutines: Sequence[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Runs beside the block. None of these ever returns: one that does is a bug that must not go unseen."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for task in tasks:
        task.add_done_callback(_die_with)
    try:
        yield
    finally:
        for task in tasks:
            task.remove_done_callback(_die_with)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _die_with(task: asyncio.Task[None]) -> None:
    # nobody here has cancelled it: a library's cancellation that came through is a bug too
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    log.critical("a background task ended; so does the process", exc_info=error)
    sys.exit(1)


async def _retry_dead_letters(service: Service, db: Database) -> int:
    async def handle(event: Event) -> None:
        subscription = service.handlers.get(event.type)
        if subscription is None:
            raise LookupError(f"{service.name} has no handler for {event.type}")
        if subscription.wants(event.envelope):
            await inbox.handle_once(db, subscription.handle, [event])

    return await dead_letters.retry_due(db, handle)


async def _feel(pool: Pool) -> int:
    measuring.feel_what_is_in_hand(pool)
    return 0


async def _measure(service: Service, pool: Pool) -> int:
    await measuring.measure(pool, [*service.jobs, *service.duties], service.measure)
    return 0


async def _subscribed_types(pool: Pool) -> set[str]:
    return {row["type"] for row in await pool.fetch("SELECT type FROM subscribed_type")}


async def _close(pool: Pool) -> None:
    """A server that is gone must not keep the process from ending."""
    try:
        await asyncio.wait_for(pool.close(), 5)
    except TimeoutError:
        pool.terminate()


def _operations(service: Service) -> APIRouter:
    """Health, metrics and contracts: the same in every service, for probes and scrapers, without a token."""
    router = APIRouter(tags=["operations"])

    @router.get("/health/live")
    async def live() -> dict[str, str]:
        """The process runs."""
        return {"status": "live"}

    @router.get("/metrics", response_class=Response)
    async def prometheus(request: Request) -> Response:
        """Prometheus's text format, or OpenMetrics, with exemplars, for who accepts it."""
        content, content_type = metrics.exposition(request.headers.get("accept", ""))
        return Response(content, headers={"content-type": content_type})

    @router.get("/asyncapi.json")
    async def contracts() -> dict[str, Any]:
        """AsyncAPI 3.0: what the service hears and what it says."""
        return asyncapi.document(service.name, service.description, service.handlers, service.announces)

    @router.get(
        "/health/ready",
        responses={
            200: {"description": "It takes requests."},
            503: {"description": "It takes none: Postgres does not answer.", "model": Readiness},
        },
    )
    async def ready(request: Request, response: Response) -> Readiness:
        """200 as long as it takes requests, which is while Postgres answers; 503 otherwise. The body says of each server whether
        it answers: without RabbitMQ, what is announced waits in the outbox. Before a process has been connected to both, it does
        not listen."""
        state = request.app.state
        postgres, bus = await asyncio.gather(
            _answers(state.database.pool.fetchval("SELECT TRUE")), _answers(state.consumer.is_connected())
        )
        response.status_code = 200 if postgres else 503
        return Readiness(postgres=postgres, rabbitmq=bus and state.publisher.is_connected)

    return router


async def _answers(question: Coroutine[Any, Any, Any]) -> bool:
    """Within two seconds. Whatever the failure, the answer to the probe is no."""
    asked = asyncio.create_task(question)
    asked.add_done_callback(_heed)
    # not wait_for: that waits until what is cancelled has ended, which asyncpg does not while nothing comes from the server
    await asyncio.wait({asked}, timeout=2)
    if not asked.done():
        asked.cancel()
        return False
    return _heed(asked) and bool(asked.result())


def _heed(asked: asyncio.Task[Any]) -> bool:
    """Whether it came to an end; asked for, a failure is not reported as one that nobody has noticed."""
    return not asked.cancelled() and asked.exception() is None
