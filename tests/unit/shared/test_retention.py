"""Where the inbox keeps what it has heard."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import Envelope
from shared.retention import NEWEST, OLDEST, RING, UNDATED, slot_of

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HEARD = Envelope("1", "/shops/a", "order.paid", "T-1", NOW)


@given(st.timedeltas(timedelta(0), OLDEST - timedelta(hours=1)))
def test_an_event_that_comes_again_is_looked_for_where_it_was_kept(later: timedelta) -> None:
    assert slot_of(HEARD, NOW + later) == slot_of(HEARD, NOW)


def test_each_day_that_is_kept_has_a_slot_of_its_own() -> None:
    days = [NOW + timedelta(days=n) for n in range(-OLDEST.days, NEWEST.days + 1)]

    slots = {slot_of(replace(HEARD, time=day), NOW) for day in days}

    assert len(slots) == len(days) < RING
    assert UNDATED not in slots


@pytest.mark.parametrize("time", [NOW - timedelta(days=400), NOW + timedelta(days=2), datetime(1, 1, 1, tzinfo=UTC)])
def test_a_time_that_is_not_to_be_believed_has_a_slot_of_its_own(time: datetime) -> None:
    assert slot_of(replace(HEARD, time=time), NOW) == UNDATED


def test_an_event_that_says_no_time_is_found_whatever_the_day_it_is_read() -> None:
    assert slot_of(replace(HEARD, is_dated=False), NOW) == UNDATED
