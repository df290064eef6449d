"""Redis goes away."""

from tests.faults.scene import Scene, fault


@fault("rabbitmq")
async def redis_gone(scene: Scene) -> int:
    """Redis is gone, and back: nothing is limited meanwhile."""
    async with scene.servers.without("redis"):
        await scene.some_time(int(scene.long(3, 20)), 10)
    return 1
