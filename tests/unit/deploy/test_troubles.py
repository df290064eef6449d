"""What `status` tells of a service's metrics."""

from deploy.cli.stack import in_words
from deploy.stack.troubles import Troubles, read

METRICS = """
# TYPE orderbus_dead_letters gauge
orderbus_dead_letters{state="retrying"} 0.0
orderbus_dead_letters{state="dead"} 2.0
# TYPE orderbus_stuck_events gauge
orderbus_stuck_events{where="outbox"} 3.0
orderbus_stuck_events{where="handling"} 0.0
# TYPE orderbus_outbox_rows gauge
orderbus_outbox_rows 7.0
"""


def test_what_needs_a_look_is_counted_and_what_does_not_is_left_out() -> None:
    assert read(METRICS) == Troubles({"dead": 2}, {"outbox": 3})


def test_what_needs_a_look_is_said_in_words() -> None:
    assert in_words(Troubles({"dead": 2, "retrying": 1}, {"outbox": 3})) == "2 dead letters, 1 retrying letter, 3 stuck in outbox"
    assert in_words(Troubles()) == ""
    assert in_words(None) == ""
