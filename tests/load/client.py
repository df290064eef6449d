"""A client in a process of its own, so that what it costs is not taken for the services'.

It is told on its standard input whom to ask and what to do, a JSON object each; says that it is ready; begins when it is
told so by another line; says how far it is; and says in the end what it saw. `tests.load.clients` is the other side.
"""

import asyncio
import sys
import time
from collections import Counter

import aio_pika
import orjson
import uvloop

from tests.load.hearing import Ends
from tests.load.load import Client, Load, Outcome
from tests.load.reading import Reader
from tests.load.sending import Sender

PATIENCE = 60.0
"""Seconds without any order ending after which the rest is given up."""


class Run:
    """One load, from its first order to the last that ended."""

    def __init__(self, load: Load, client: Client) -> None:
        self._client = client
        self._seconds = load.seconds
        self._ends = Ends()
        self._sender = Sender(load, client)
        self._reader = Reader(load, client)
        self._backlog: list[tuple[float, int]] = []
        self._is_sending = True

    async def carry_out(self) -> Outcome:
        """Send, hear, and tell."""
        connection = await aio_pika.connect(self._client.bus_url, timeout=10)
        async with connection:
            await self._ends.listen(await connection.channel(), self._client.queue)
            sending = await connection.channel(publisher_confirms=True)
            _say(ready=True)
            await asyncio.to_thread(sys.stdin.readline)
            cpu, started = time.process_time(), time.perf_counter()
            watching = asyncio.create_task(self._watch(started))
            reading = asyncio.create_task(self._reader.read(self._seconds))
            await self._sender.send(sending)
            self._is_sending = False
            missing = await self._all_ended()
            await reading
            watching.cancel()
            return self._outcome(started, missing, time.process_time() - cpu)

    async def _all_ended(self) -> int:
        """How many had not when patience ran out."""
        seen, deadline = 0, time.perf_counter() + PATIENCE
        while len(self._ends.heard) < len(self._sender.began) or (missing := self._missing()):
            if len(self._ends.heard) > seen:
                seen, deadline = len(self._ends.heard), time.perf_counter() + PATIENCE
            elif time.perf_counter() > deadline:
                return self._missing()
            await asyncio.sleep(0.01)
        return missing

    def _missing(self) -> int:
        return len(self._sender.began.keys() - self._ends.heard.keys())

    async def _watch(self, started: float) -> None:
        next_note = started
        while True:
            sent, ended = len(self._sender.began), len(self._ends.heard)
            _say(sent=sent, ended=ended)
            if self._is_sending and time.perf_counter() >= next_note:
                self._backlog.append((round(time.perf_counter() - started, 2), sent - ended))
                next_note += 1
            await asyncio.sleep(0.25)

    def _outcome(self, started: float, missing: int, cpu: float) -> Outcome:
        began = self._sender.began
        ends = self._ends.of(began)
        last = max((at for _, at in ends.values()), default=started)
        return Outcome(
            orders=len(began),
            seconds=last - started,
            latencies=[round(1000 * (at - began[order_id]), 3) for order_id, (_, at) in ends.items()],
            ends=dict(Counter(event_type for event_type, _ in ends.values())),
            missing=missing,
            answers=self._sender.answered,
            reads=self._reader.took,
            backlog=self._backlog,
            cpu_seconds=cpu,
            errors=self._sender.errors[:20] + self._reader.errors[:20],
        )


def _say(**what: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()


async def main() -> None:
    """The program."""
    client = Client(**orjson.loads(await asyncio.to_thread(sys.stdin.readline)))
    load = Load(**orjson.loads(await asyncio.to_thread(sys.stdin.readline)))
    _say(outcome=await Run(load, client).carry_out())


if __name__ == "__main__":
    uvloop.run(main())
