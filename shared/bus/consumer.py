"""What a service hears on the bus."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

import structlog
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue, AbstractRobustConnection
from aio_pika.exceptions import DuplicateConsumerTag
from faststream import AckPolicy
from faststream.message import StreamMessage
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue
from faststream.rabbit.subscriber.usecase import RabbitSubscriber
from faststream.rabbit.utils import RabbitClientProperties
from faststream.security import BaseSecurity

from shared import codec, dead_letters, inbox, metrics, tls
from shared.batching import Batcher
from shared.bus import broker
from shared.bus.broker import CANCELLED_WITHIN, HEARTBEAT, dead_queue_name, queue_name
from shared.bus.received import GIVEN_UP, Received
from shared.codec import Unreadable
from shared.database import Database
from shared.events import Event
from shared.settings import Settings
from shared.subscriptions import Subscription, Subscriptions

log = structlog.get_logger()

RECONNECT = 1
"""Seconds between two attempts to reach a broker that was lost."""

STOPPED_WITHIN = 10
"""Seconds for what is in hand to be handled. With what partners are given, and what is announced, it is less than the half minute
after which a process is killed."""

BATCH_BYTES = 1024 * 1024
"""A transaction takes no further message once it has so many bytes of them: an order of fifty lines is the work of many."""

AT_A_TIME = 4
"""Messages that have come back and are read, and handled: a crash under load leaves a hundred for each queue, and as objects they
take ten times the room."""

SUSPICIOUS = 3
"""A message that has come back so often may be one that kills. Who starts takes it with nothing else in hand: what is in hand
beside one that kills comes back with it, and would end with it."""

LOST = (OSError, RuntimeError, DuplicateConsumerTag)
"""By any of these aio-pika says that the connection was lost. By the last when we had just begun to listen on a channel that it
is restoring: it then listens a second time by the same tag, and closes the new connection because of that."""

Receive = Callable[[Received], Awaitable[None]]


async def _take(received: Received, receive: Receive) -> None:
    """As a subscriber takes what it is delivered. Not by aio-pika's `process`: that rejects what is only cancelled."""
    try:
        await receive(received)
    except Exception:
        log.exception("a message is rejected")
        await received.raw.reject()
    else:
        await received.raw.ack()


def _apart(events: Sequence[Event], times_back: int) -> Sequence[Sequence[Event]]:
    """A message that has come back, as it is handled. Once: whole, for mostly the process was killed, or the broker lost, and
    nothing is wrong with it. Again: whatever kills the process must not take its neighbours along, so each event goes alone, and
    never in the same order."""
    if times_back > 1:
        return [[event] for event in random.sample(events, len(events))]
    return [events] if events else []


async def _decode(message: StreamMessage[AbstractIncomingMessage]) -> Received:
    return Received(message.raw_message)


class Consumer:
    """Receives a service's events and puts them through its inbox, many in one transaction."""

    def __init__(self, settings: Settings, service: str, subscriptions: Subscriptions, database: Database) -> None:
        self._service = service
        self._database = database
        self._broker = RabbitBroker(
            settings.rabbitmq_url.get_secret_value(),
            apply_types=False,
            logger=None,
            reconnect_interval=RECONNECT,
            app_id=f"orderbus-{service}",
            client_properties=RabbitClientProperties(heartbeat=HEARTBEAT),
            security=BaseSecurity(ssl_context=tls.of_rabbitmq(settings)),
        )
        # events of several types that one handler takes go together: what is said of an order at once is learned at once
        self._batchers = {
            handle: Batcher[Event](
                partial(inbox.handle, database, handle),
                settings.batch_events,
                BATCH_BYTES,
                gathers=subscriptions.hears_only_others(handle),  # what others say comes in here
            )
            for handle in {subscription.handle for subscription in subscriptions.values()}
        }
        self._coming_back = asyncio.Semaphore(AT_A_TIME)
        self._receivers: dict[str, Receive] = {}
        for subscription in subscriptions.values():
            self._hear(subscription, settings.prefetch)
        self._subscribe(dead_queue_name(service), 10, self._given_up)
        self._connection: AbstractRobustConnection | None = None
        self._beginning = asyncio.Lock()
        self._is_stopped = False

    async def start(self) -> None:
        """Connect. Raises when the broker cannot be reached."""
        self._connection = await self._broker.connect()

    async def run(self) -> None:
        """Receive for ever: what is suspicious one by one, and then everything. Where the broker is lost before that has begun,
        it begins anew: what was in hand comes back, and the inbox knows what of it was handled."""
        async with self._beginning:
            while not self._is_stopped:
                try:
                    await self._begin()
                    break
                except LOST as lost:
                    log.warning("the broker was lost before everything was listened to; it begins anew", error=repr(lost))
                    await asyncio.sleep(RECONNECT)
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Take nothing more, finish what is in hand, acknowledge it, and disconnect."""
        self._is_stopped = True
        try:
            async with asyncio.timeout(CANCELLED_WITHIN + STOPPED_WITHIN):
                async with self._beginning:
                    await self._cancel()
                await asyncio.gather(*(batcher.idle() for batcher in self._batchers.values()))
                await self._broker.stop()
        except TimeoutError:
            log.warning("stopped with something in hand, or without a word to the broker: it will come again")
            if self._connection is not None:
                await broker.close(self._connection)

    async def _begin(self) -> None:
        async with (await self._broker.connect()).channel() as channel:
            in_hand: list[tuple[Received, Receive]] = []
            # in any order: what kills in one queue must not keep the same others waiting at each start
            for name, receive in random.sample(list(self._receivers.items()), len(self._receivers)):
                queue = await channel.get_queue(name, ensure=False)
                if unsuspicious := await self._take_suspects(queue, receive):
                    in_hand.append((unsuspicious, receive))
            for subscriber in self._broker.subscribers:
                if not (self._is_stopped or subscriber.running):  # twice, it would listen twice
                    await subscriber.start()
            # what cannot be acknowledged any more comes back to who listens now
            await asyncio.gather(*(_take(*each) for each in in_hand), return_exceptions=True)

    async def _take_suspects(self, queue: AbstractQueue, receive: Receive) -> Received | None:
        """One after the other, while one stands in front of the queue. The message behind them, which is in hand then."""
        while not self._is_stopped and (message := await queue.get(fail=False)) is not None:
            received = Received(message)
            if received.times_back < SUSPICIOUS:
                return received
            log.warning("taken alone: it has come back often", queue=queue.name, times=received.times_back)
            await _take(received, receive)
        return None

    async def _cancel(self) -> None:
        # FastStream would first stop listening and then cancel: what arrives in between would count as a delivery
        cancels = []
        for subscriber in self._broker.subscribers:
            assert isinstance(subscriber, RabbitSubscriber)
            if subscriber._queue_obj is not None and subscriber._consumer_tag is not None:
                cancels.append(subscriber._queue_obj.cancel(subscriber._consumer_tag))
                subscriber._consumer_tag = None
        with suppress(TimeoutError):  # a channel that is gone is waited for; it does not listen again when it is back
            async with asyncio.timeout(CANCELLED_WITHIN):
                await asyncio.gather(*cancels, return_exceptions=True)

    async def is_connected(self) -> bool:
        """Whether the broker answers."""
        return await self._broker.ping(timeout=2)

    def _hear(self, subscription: Subscription, prefetch: int) -> None:
        event_type, batcher = subscription.event_class.type, self._batchers[subscription.handle]
        queue = queue_name(self._service, event_type)

        async def receive(received: Received) -> None:
            unreadable: list[Unreadable] = []

            def read() -> list[Event]:
                decoded = received.read(subscription, queue)
                unreadable.extend(decoded.unreadable)
                return decoded.events

            if received.raw.redelivered:
                async with self._coming_back:
                    for events in _apart(read(), received.times_back):
                        await inbox.handle(self._database, subscription.handle, events)
            else:
                await batcher.submit(read, subscription.patient, len(received.raw.body))
            await self._keep_unreadable(event_type, unreadable)

        self._receivers[queue] = receive
        self._subscribe(queue, prefetch, receive)

    def _subscribe(self, queue: str, prefetch: int, receive: Receive) -> None:
        self._broker.subscriber(
            RabbitQueue(queue, queue_type=QueueType.QUORUM, durable=True, declare=False),
            ack_policy=AckPolicy.REJECT_ON_ERROR,  # rejected is dead-lettered by the broker, never dropped
            channel=Channel(prefetch_count=prefetch),
            decoder=_decode,
        )(receive)

    async def _keep_unreadable(self, event_type: str, unreadable: Sequence[Unreadable]) -> None:
        if unreadable:
            metrics.events_handled.labels(event_type, "unreadable").inc(len(unreadable))
            await inbox.until_stored(self._database, [dead_letters.of_unreadable(each) for each in unreadable])

    async def _given_up(self, received: Received) -> None:
        """What the broker gave up delivering becomes dead letters, each event that was not handled before one. It is given up
        nowhere else: what cannot be read, or has come back often from here too, is kept as it came."""
        if received.times_back < SUSPICIOUS:
            try:
                await self._keep_events(received)
                return
            except Exception:
                log.exception("what the broker gave up is kept as it came")
        whole = received.whole()
        while True:
            try:
                await inbox.until_stored(self._database, [whole])
                break
            except Exception:  # who let it go would have it dropped
                log.exception("what the broker gave up cannot be kept; it waits")
                await asyncio.sleep(inbox.LONGEST_WAIT)
        metrics.events_handled.labels("unknown", "given_up").inc()

    async def _keep_events(self, received: Received) -> None:
        decoded = received.read_dead()
        unreadable = [dead_letters.of_unreadable(each) for each in decoded.unreadable]
        letters = [
            dead_letters.Letter(codec.whole(event), GIVEN_UP, event.envelope, None, event.origin) for event in decoded.events
        ]
        kept = await inbox.until_stored(self._database, unreadable, unless_handled=letters)
        log.error("the broker gave up", events=len(kept), unreadable=len(unreadable))
        for letter in kept:
            assert letter.envelope is not None
            metrics.events_handled.labels(letter.envelope.type, "given_up").inc()
