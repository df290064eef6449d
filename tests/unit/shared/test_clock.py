from datetime import UTC, datetime, timedelta

from shared.clock import Clock


class Server:
    """A Postgres whose clock is an hour ahead of ours."""

    def __init__(self) -> None:
        self.asked = 0

    async def fetchval(self, _: str) -> datetime:
        self.asked += 1
        return datetime.now(UTC) + timedelta(hours=1)


async def test_the_time_is_the_servers_and_it_is_not_asked_each_time() -> None:
    server, clock = Server(), Clock()

    first = await clock.now(server)
    second = await clock.now(server)

    assert abs(first - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=5)
    assert first <= second
    assert server.asked == 1
