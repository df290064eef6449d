"""Where the inbox keeps what it has heard."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import Envelope
from shared.retention import NEWEST, OLDEST, RING, UNDATED, also_in, slot_of

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


@given(
    st.timedeltas(-timedelta(days=400), OLDEST),
    st.timedeltas(timedelta(0), timedelta(days=30)),
    st.timedeltas(timedelta(days=1), OLDEST),
)
def test_wherever_it_was_kept_it_is_looked_for_there(old: timedelta, later: timedelta, oldest: timedelta) -> None:
    event = replace(HEARD, time=NOW - old)
    again = NOW + later

    kept, slot = slot_of(event, NOW, oldest), slot_of(event, again, oldest)

    # what is older than the ring when it comes again is forgotten by then if it was kept by its day
    assert kept in {slot, also_in(event, slot, again)} or again - event.time > OLDEST


def test_what_comes_late_is_not_kept_by_a_day_that_is_soon_forgotten() -> None:
    late = replace(HEARD, time=NOW - timedelta(days=16))

    assert slot_of(late, NOW, timedelta(days=15)) == UNDATED
    assert also_in(late, UNDATED, NOW) == slot_of(late, NOW)


def test_our_own_is_looked_for_once() -> None:
    ours = replace(HEARD, source="/orderbus/orders")

    assert also_in(ours, slot_of(ours, NOW), NOW) is None
