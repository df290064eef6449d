"""What `status --watch` makes of a service's metrics."""

from deploy.stack.vitals import Look, Pulse, Vitals, between, read

METRICS = """
# TYPE orderbus_events_handled counter
orderbus_events_handled_total{outcome="handled",type="order.paid"} 30.0
orderbus_events_handled_total{outcome="handled",type="order.placed"} 10.0
orderbus_events_handled_total{outcome="duplicate",type="order.paid"} 5.0
# TYPE orderbus_events_published counter
orderbus_events_published_total{type="stock.reserved"} 20.0
# TYPE orderbus_event_age_seconds histogram
orderbus_event_age_seconds_bucket{le="+Inf",type="order.paid"} 4.0
orderbus_event_age_seconds_count{type="order.paid"} 4.0
orderbus_event_age_seconds_sum{type="order.paid"} 0.2
# TYPE orderbus_outbox_rows gauge
orderbus_outbox_rows 7.0
"""


def test_a_service_s_counts_are_summed_over_its_events() -> None:
    assert read(METRICS) == Vitals(handled=40, published=20, age=0.2, aged=4, outbox=7)


def test_rates_are_of_the_time_between_two_looks() -> None:
    before, after = Vitals(handled=100, published=50, age=1, aged=10), Vitals(handled=140, published=60, age=2, aged=30, outbox=3)

    assert between(before, after, seconds=2) == Pulse(20, 5, 50, 3)


def test_where_nothing_was_handled_there_is_no_lag() -> None:
    assert between(Vitals(), Vitals(), seconds=2) == Pulse(0, 0, None, 0)


def test_a_service_that_was_started_in_between_has_no_rates_yet() -> None:
    before, after = Look(1, [], {"orders": Vitals(handled=9)}, []), Look(3, [], {"orders": Vitals(handled=2)}, [])

    assert after.pulses(before) == {}
