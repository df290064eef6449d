"""RabbitMQ goes away, or is there and of no use."""

import asyncio

import aio_pika

from deploy.stack.credentials import SERVICES
from tests.faults.proxy import LostConfirms
from tests.faults.purchases import Kind
from tests.faults.scene import APART, Scene, fault
from tests.faults.servers import queues

ON_ACCOUNT = Kind("invoice", channel="invoice", token=None)

HEARTBEATS_MISSED = 35.0
"""Seconds after which both ends have given each other up."""


@fault("rabbitmq", rate=4)
async def rabbitmq_kill(scene: Scene) -> int:
    """kill -9 of the broker, and a restart."""
    times = int(scene.long(1, 2))
    for _ in range(times):
        async with scene.servers.without("rabbitmq"):
            pass
        await scene.fleet.ready()
    return times


@fault("rabbitmq")
async def rabbitmq_connection_cut(scene: Scene) -> int:
    """Connections are reset by the network, ended halfway, and closed by the broker."""
    struck = 0
    for _ in range(int(scene.long(1, 5))):
        struck += sum(link.cut() for link in scene.fleet.links("rabbitmq"))
        await scene.some_time(2, 3)
        struck += sum(link.half_close() for link in scene.fleet.links("rabbitmq"))
        await scene.some_time(2, 3)
        await scene.servers.rabbitmqctl("close_all_connections", "an operator said so")
        struck += 1
        await scene.some_time(2, 3)
    return struck


@fault("rabbitmq", rate=4)
async def rabbitmq_memory_alarm(scene: Scene) -> int:
    """The broker is out of memory and blocks whoever publishes; orders are taken all the same."""
    async with scene.servers.without_memory():
        purchases = scene.buy(ON_ACCOUNT, 5)
        try:
            await scene.shoppers.acknowledged(purchases, 15)
        except TimeoutError:
            scene.notes.append("no orders were taken over HTTP while the broker was out of memory")
        await asyncio.sleep(scene.long(0, 60))
    return 1


@fault("rabbitmq", rate=0, is_random=False)
async def rabbitmq_queue_deleted(scene: Scene) -> int:
    """Queues are deleted under their consumers while nothing is announced, and declared again: all are heard again."""
    names = scene.chance.sample(queues(), int(scene.long(2, 10)))
    await scene.at_rest()
    async with await aio_pika.connect(scene.servers.rabbitmq_url, timeout=10) as connection:
        channel = await connection.channel()
        for name in names:
            await channel.queue_delete(name)
    await asyncio.sleep(scene.long(0.5, 5))
    await scene.servers.declare_topology()
    await scene.shoppers.acknowledged(scene.buy(ON_ACCOUNT, 5))
    return len(names)


@fault("rabbitmq")
async def rabbitmq_confirms_lost(scene: Scene) -> int:
    """The broker has the messages, and the publishers never hear of it."""
    taps = []
    for link in scene.fleet.links("rabbitmq"):
        link.tap = tap = LostConfirms()
        taps.append(tap)
    await scene.some_time(4, 5)
    await asyncio.sleep(scene.long(0.5, 15))
    for link in scene.fleet.links("rabbitmq"):
        link.tap = None
        link.cut()
    return sum(tap.struck for tap in taps)


@fault(APART, rate=1)
async def rabbitmq_partition(scene: Scene) -> int:
    """Nothing passes between the broker and one process of each service, for longer than heartbeats go unanswered."""
    links = scene.fleet.links("rabbitmq", [scene.a_replica(service) for service in SERVICES])
    scene.apart |= set(links)
    for link in links:
        link.swallow()
    await asyncio.sleep(scene.long(HEARTBEATS_MISSED, 60))
    for link in links:
        link.restore()
    scene.apart.clear()
    return len(links)
