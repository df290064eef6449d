"""Whose word an event is: told by how the broker says it was published, not by what it says of itself."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.bus import EXCHANGE, objection
from shared.events import Envelope

OURS = Envelope("id-1", "/orderbus/orders", "order.paid", "T-1", datetime(2026, 11, 24, 8, tzinfo=UTC))
TAOBAO = replace(OURS, source="/shops/taobao-42")


@pytest.mark.parametrize(
    ("exchange", "key", "envelope"),
    [
        (EXCHANGE, "order.paid", OURS),
        (EXCHANGE, "order.paid", TAOBAO),  # taken over HTTP and said by orders
        ("external./shops/taobao-42", "order.paid", TAOBAO),
        ("", "orders.order.paid", OURS),  # an administrator moved it from one queue to another
    ],
)
def test_who_may_say_it_is_heard(exchange: str, key: str, envelope: Envelope) -> None:
    assert objection("order.paid", exchange, key, envelope) is None


@pytest.mark.parametrize("source", ["/orderbus/orders", "/shops/taobao-4", "/shops/taobao-422", "/shops/taobao-42/"])
def test_a_system_speaks_under_its_own_source_only(source: str) -> None:
    said = objection("order.paid", "external./shops/taobao-42", "order.paid", replace(TAOBAO, source=source))

    assert said == f"source: {source} was published by /shops/taobao-42, which may not speak for it"


@pytest.mark.parametrize("exchange", [EXCHANGE, "external./shops/taobao-42"])
def test_an_event_is_of_the_type_it_was_published_as(exchange: str) -> None:
    said = objection("payment.refunded", exchange, "order.paid", replace(TAOBAO, type="payment.refunded"))

    assert said == "type: payment.refunded was published as order.paid"


@pytest.mark.parametrize("exchange", [EXCHANGE, "external./shops/taobao-42", ""])
def test_an_event_in_the_queue_of_another_type_is_not_dropped_silently(exchange: str) -> None:
    assert objection("order.submitted", exchange, "order.paid", TAOBAO) is not None
