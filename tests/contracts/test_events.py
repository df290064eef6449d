"""The contracts as they are committed."""

import json

import pytest
from pydantic import ValidationError

from deploy.contracts import document, schemas
from deploy.contracts.compatibility import breaks
from deploy.services import SERVICES
from shared.events import EVENTS, Event
from tests.builders import a_paid_order


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


@pytest.mark.parametrize("order_id", ["", "-", "a b", "x" * 65, "é", "a/b", "a\n"])
def test_an_order_id_that_cannot_stand_in_an_address_is_refused(order_id: str) -> None:
    with pytest.raises(ValidationError, match="order_id"):
        a_paid_order(order_id=order_id)
