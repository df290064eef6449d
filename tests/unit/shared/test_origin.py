"""Whose word an event is: told by how the broker says it was published, not by what it says of itself."""

from typing import Any

import pytest

from shared.bus.received import DEATHS, dead_from
from shared.origin import EXCHANGE, Origin

OURS = "/orderbus/orders"
TAOBAO = "/shops/taobao-42"
QUEUE = "orders.order.paid"


@pytest.mark.parametrize(
    ("exchange", "key", "source"),
    [
        (EXCHANGE, "order.paid", OURS),
        (EXCHANGE, "order.paid", TAOBAO),  # taken over HTTP and said by orders
        ("external./shops/taobao-42", "order.paid", TAOBAO),
        ("", "orders.order.paid", OURS),  # an administrator moved it from one queue to another
    ],
)
def test_who_may_say_it_is_heard(exchange: str, key: str, source: str) -> None:
    assert Origin(exchange, key, QUEUE).objection(source, "order.paid") is None


@pytest.mark.parametrize("source", ["/orderbus/orders", "/shops/taobao-4", "/shops/taobao-422", "/shops/taobao-42/"])
def test_a_system_speaks_under_its_own_source_only(source: str) -> None:
    said = Origin("external./shops/taobao-42", "order.paid", QUEUE).objection(source, "order.paid")

    assert said == f"source: {source} was published by /shops/taobao-42, which may not speak for it"


@pytest.mark.parametrize("exchange", [EXCHANGE, "external./shops/taobao-42"])
def test_an_event_is_of_the_type_it_was_published_as(exchange: str) -> None:
    said = Origin(exchange, "order.paid", "orders.payment.refunded").objection(TAOBAO, "payment.refunded")

    assert said == "type: payment.refunded was published as order.paid"


@pytest.mark.parametrize("exchange", [EXCHANGE, "external./shops/taobao-42", ""])
def test_an_event_in_the_queue_of_another_type_is_not_dropped_silently(exchange: str) -> None:
    assert Origin(exchange, "order.paid", "orders.order.submitted").objection(TAOBAO, "order.paid") is not None


def test_a_dead_message_is_still_the_word_of_who_published_it() -> None:
    died = {
        "queue": QUEUE,
        "reason": "delivery_limit",
        "count": 1,
        "exchange": "external./shops/a",
        "routing-keys": ["order.paid"],
    }
    died_before = died | {"exchange": EXCHANGE}

    assert dead_from({DEATHS: [died, died_before]}) == Origin("external./shops/a", "order.paid", QUEUE)


@pytest.mark.parametrize("deaths", [None, [], ["x"], [{}], [{"queue": QUEUE, "exchange": EXCHANGE, "routing-keys": []}], "x"])
def test_whose_word_a_dead_message_is_is_not_guessed(deaths: Any) -> None:
    assert dead_from({DEATHS: deaths}) is None
    assert dead_from({}) is None
