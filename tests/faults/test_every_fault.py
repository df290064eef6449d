"""Each fault once, with a few orders: nothing is lost, doubled or stuck. `./orderbus faults` takes its time over them."""

import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from deploy.stack.state import StackFolder
from tests.faults import suite
from tests.faults.results import Result
from tests.faults.running import Run, a_scene

pytestmark = [
    pytest.mark.timeout(300),
    # a connection that is lost while it is being made is not always put away tidily by its library
    pytest.mark.filterwarnings("ignore:coroutine 'Connection.close' was never awaited"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

GROUPS = {group[0].group: group for group in suite.grouped(suite.faults())}


@pytest.fixture(scope="module")
def tormented() -> Iterator[tuple[StackFolder, dict[str, Any]]]:
    """A stack of this module's own: what is done to it would be done to whoever shared it."""
    with suite.a_stack(lambda _: None) as stack:
        yield stack


@pytest.fixture(scope="module")
async def run(tormented: tuple[StackFolder, dict[str, Any]]) -> AsyncIterator[Run]:
    """Load on it, from a seed that is printed when a test fails."""
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    async with a_scene(*tormented, seed, is_brief=True) as scene:
        yield Run(scene, print)


@pytest.mark.parametrize("group", GROUPS)
async def test_nothing_is_lost_doubled_or_stuck(run: Run, group: str) -> None:
    results: list[Result] = await run.together(GROUPS[group])

    assert {result.name: result.violations for result in results if not result.ok} == {}
    assert all(result.orders > 0 for result in results if not result.skipped)
