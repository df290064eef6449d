"""The contracts as they are committed, and the examples other systems copy."""

import json

import pytest
from pydantic import ValidationError

from deploy.contracts import document, schemas
from deploy.contracts.compatibility import breaks
from deploy.services import SERVICES
from shared import codec
from shared.events import EVENTS, Event
from shared.events.orders import OrderPaid

EXAMPLE = """
{"specversion":"1.0","id":"8e0","source":"/shops/taobao-42","type":"order.paid","subject":"TB-1124-0001","time":"2026-11-24T08:00:00Z",
 "data":{"order_id":"TB-1124-0001","currency":"CNY","total":29900,
  "lines":[{"sku":"HP-1001","quantity":1,"unit_price":29900}],
  "customer":{"name":"李雷","phone":"+8613800000000"},
  "ship_to":{"name":"李雷","phone":"+8613800000000","country":"CN","province":"浙江省","city":"杭州市","line1":"文三路 1 号","postcode":"310000"},
  "payment":{"channel":"alipay","reference":"2026112422001"}}}
"""


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_the_committed_schema_is_what_the_code_says_and_breaks_nobody(event: type[Event]) -> None:
    committed = json.loads(schemas.file_of(event).read_text())

    assert breaks(committed, schemas.schema_of(event)) == []
    assert schemas.is_current(event), "run ./orderbus contracts"


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_every_event_says_what_it_means_and_somebody_announces_it(event: type[Event]) -> None:
    assert event.__doc__
    assert event.inbound or any(event in service.announces for service in SERVICES.values())


def test_generated_documents_are_up_to_date() -> None:
    stale = [path.name for path, text in document.documents().items() if not path.exists() or path.read_text() != text]

    assert not stale, "run ./orderbus contracts"


def test_the_example_that_shops_copy_is_read() -> None:
    decoded = codec.decode(EXAMPLE.encode(), codec.SINGLE, {})

    (event,) = decoded.events
    assert isinstance(event, OrderPaid)
    assert (event.envelope.source, event.order_id, event.total) == ("/shops/taobao-42", "TB-1124-0001", 29900)


@pytest.mark.parametrize("order_id", ["", "-", "a b", "x" * 65, "é", "a/b", "a\n"])
def test_an_order_id_that_cannot_stand_in_an_address_is_refused(order_id: str) -> None:
    example = json.loads(EXAMPLE)["data"]

    with pytest.raises(ValidationError, match="order_id"):
        OrderPaid.model_validate(example | {"order_id": order_id})
