"""Each alert can be provoked, and some of them are: quick ones, with time going faster. `python -m tests.faults.alerts` takes
its time over all of them."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.stack import packages
from deploy.stack.stack import status
from deploy.stack.state import StackError, StackFolder
from tests.faults.alerts import Run, a_stage, an_observed_stack, provocations, unprovoked
from tests.faults.hastening import hastened
from tests.faults.provocations import letter_left_lying

PACE = 60.0
QUICK = ("DeadLetters", "OrdersHeldLong", "CallsOverdue", "TimersOverdue", "ServiceDown")


@pytest.fixture(scope="module")
def observed() -> Iterator[tuple[StackFolder, dict[str, Any]]]:
    try:
        with an_observed_stack(lambda _: None) as stack:
            yield stack
    except StackError as missing:
        if packages.can_install():
            raise
        pytest.skip(str(missing))


def test_every_alert_of_the_rules_has_something_that_provokes_it() -> None:
    assert unprovoked() == []


def test_time_goes_faster_for_windows_waits_and_thresholds_and_for_nothing_else() -> None:
    rule = 'for: 1m\nexpr: rate(x:ratio_5m{le="60.0"}[5m]) > 15 * 60 and y > 14.4 * 0.001\nscrape_interval: 10s'

    assert hastened(rule, 1) == rule
    assert hastened(rule, 20) == (
        'for: 3000ms\nexpr: rate(x:ratio_5m{le="60.0"}[15000ms]) > 45 and y > 14.4 * 0.001\nscrape_interval: 1000ms'
    )


@pytest.mark.timeout(300)
async def test_alerts_fire_reach_the_pager_and_end_with_their_reason(observed: tuple[StackFolder, dict[str, Any]]) -> None:
    folder, addresses = observed

    async def named_by_status() -> set[str]:
        lines = await asyncio.to_thread(status, folder)
        return {alert.name for line in lines for alert in line.alerts or ()}

    async with a_stage(folder, addresses, PACE) as (stage, watches):
        outcomes = await Run(stage, watches, provocations(QUICK), PACE, print).all(QUICK)

        assert {outcome.alert for outcome in outcomes} == set(QUICK)
        assert [str(outcome) for outcome in outcomes if not outcome.ok] == []
        async with letter_left_lying(stage):
            while "DeadLetters" not in await named_by_status():
                await asyncio.sleep(0.1)
