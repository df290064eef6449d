"""`events publish`, `events tail` and `orders timeline`, without a bus."""

import io
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from deploy.cli import orders
from deploy.cli.events import Tail, opened, whats_wrong
from deploy.cli.paper import paper
from shared.codec import BATCH, SINGLE

PAID: dict[str, Any] = {
    "specversion": "1.0",
    "id": "8e0",
    "source": "/shops/taobao-42",
    "type": "order.paid",
    "subject": "TB-1",
    "time": "2026-11-24T08:00:00Z",
    "data": {
        "order_id": "TB-1",
        "currency": "CNY",
        "total": 29900,
        "lines": [{"sku": "HP-1001", "quantity": 1, "unit_price": 29900}],
        "customer": {"name": "李雷", "phone": "+8613800000000"},
        "ship_to": {"name": "李雷", "country": "CN", "city": "杭州市", "line1": "文三路 1 号"},
        "payment": {"channel": "alipay", "reference": "2026112422001"},
    },
}


def test_a_good_event_may_be_published_alone_or_in_an_array() -> None:
    assert whats_wrong(_bytes(PAID)) == []
    assert whats_wrong(_bytes([PAID, {**PAID, "id": "8e1"}])) == []


def test_what_is_wrong_is_said_of_each_event() -> None:
    wrong = whats_wrong(_bytes([PAID, {**PAID, "id": "bad", "data": {**PAID["data"], "total": -1}}, {"specversion": "0.3"}]))

    assert len(wrong) == 2
    assert wrong[0].startswith("bad: total: ")
    assert "specversion" in wrong[1]


def test_nobody_publishes_as_one_of_our_own_services() -> None:
    assert whats_wrong(_bytes({**PAID, "source": "/orderbus/orders"})) == [
        "8e0: source: /orderbus/orders is one of our own services'"
    ]
    completed = {**PAID, "type": "order.completed", "data": {"order_id": "TB-1"}}
    assert whats_wrong(_bytes(completed)) == ["8e0: type: order.completed is not for other systems to publish"]


def test_what_is_no_event_at_all_is_refused() -> None:
    assert whats_wrong(b"{") != []
    assert whats_wrong(b"[]") == ["there is no event"]
    assert whats_wrong(b"7") == ["event: an event is a JSON object"]


def test_a_tail_shows_each_event_of_a_batch_until_it_has_enough() -> None:
    shown: list[str] = []
    tail = Tail(None, 2, lambda event, note: shown.append(f"{event['id']} {note}"))
    batch = _bytes([{**PAID, "id": str(number)} for number in range(5)])

    assert tail.take(batch, BATCH, {}) is True
    assert shown == ["0 299.00 CNY by alipay", "1 299.00 CNY by alipay"]


def test_a_tail_of_one_order_leaves_the_others_out() -> None:
    shown: list[str] = []
    tail = Tail("TB-2", None, lambda event, _: shown.append(event["id"]))

    other = {**PAID, "id": "8e1", "subject": "TB-2", "data": {**PAID["data"], "order_id": "TB-2"}}
    assert tail.take(_bytes([PAID, other]), BATCH, {}) is False
    assert shown == ["8e1"]


def test_what_cannot_be_read_is_shown_with_the_reason() -> None:
    [(event, note)] = opened(_bytes({**PAID, "data": {}}), SINGLE, {})

    assert event["id"] == "8e0"
    assert note.startswith("unreadable: order_id: ")


def test_a_timeline_begins_with_our_own_services_and_names_causes() -> None:
    told = {
        "order_id": "TB-1",
        "events": [
            _entry("a", 0, "order.paid", "/shops/taobao-42"),
            _entry("b", 7_200_000, "order.placed", "/orderbus/orders", caused_by="a"),
            _entry("c", 7_200_013.4, "stock.reserved", "/orderbus/inventory", caused_by="b"),
        ],
    }

    lines = _printed(told)

    assert [line.split()[:2] for line in lines[1:]] == [["-2.0", "h"], ["0", "2.0"], ["13", "13.4"]]
    assert lines[2].endswith("← order.paid")
    assert "inventory" in lines[3]
    assert lines[3].endswith("← order.placed")


def test_a_timeline_names_each_trace_of_its_events_once_and_finds_it_in_grafana() -> None:
    said = [("a", None), ("b", "4bf9"), ("c", "4bf9"), ("d", "77aa")]
    events = [_entry(id, 0, "order.paid", "/orderbus/orders") | {"trace_id": trace_id} for id, trace_id in said]

    assert orders.traces({"events": events}, None) == [{"trace_id": id, "url": None} for id in ("4bf9", "77aa")]
    url = urlsplit(orders.traces({"events": events}, "http://localhost:8008/")[0]["url"] or "")
    assert f"{url.scheme}://{url.netloc}{url.path}" == "http://localhost:8008/explore"
    pane = json.loads(parse_qs(url.query)["panes"][0])["trace"]
    assert [query["query"] for query in pane["queries"]] == ["4bf9"]
    assert pane["range"] == {"from": "1764061200000", "to": "1764068400000"}  # an hour before the first, an hour after the last


def test_plain_paper_has_no_colours_and_no_trailing_space() -> None:
    stream = io.StringIO()

    paper(stream).print(orders.table({"order_id": "T", "events": [_entry("a", 0, "x", "/orderbus/orders")]}, is_plain=True))

    assert "\x1b" not in stream.getvalue()
    assert all(line == line.rstrip() for line in stream.getvalue().splitlines())


def _printed(told: dict[str, Any]) -> list[str]:
    stream = io.StringIO()
    paper(stream).print(orders.table(told, is_plain=True))
    return stream.getvalue().splitlines()


def _entry(id: str, ms: float, event: str, source: str, caused_by: str | None = None) -> dict[str, Any]:
    at = "2025-11-25T10:00:00Z"
    return {"at": at, "id": id, "ms": ms, "event": event, "source": source, "note": "", "caused_by": caused_by, "trace_id": None}


def _bytes(value: object) -> bytes:
    return json.dumps(value).encode()
