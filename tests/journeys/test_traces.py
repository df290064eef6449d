"""One order is one trace through all four services, as a collector is sent it; and what failed or is slow is always seen."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from deploy.stack import processes, stack
from deploy.stack.state import StackFolder, open_folder
from shared import codec
from shared.events import Envelope
from shared.events.payments import PaymentRefunded
from shared.money import Money
from shared.telemetry import now, trace_id_of
from tests.builders import a_paid_order
from tests.journeys.collector import CLIENT, CONSUMER, PRODUCER, SERVER, Collector, Received
from tests.journeys.shop import Shop
from tests.journeys.test_orders_to_the_door import FAR_AWAY

SHOP = "/shops/taobao-42"
SHOPS_SPAN = bytes.fromhex("00f067aa0ba902b7")
LAST = ("orders", "process tracking.pushed")

TO_PAID = [
    ("orderbus-inventory", "process order.placed"),
    ("orderbus-inventory", "send stock.reserved"),
    ("orderbus-payments", "process stock.reserved"),
    ("orderbus-payments", "charge"),
    ("orderbus-payments", "record charge"),
    ("orderbus-payments", "send payment.captured"),
    ("orderbus-orders", "process payment.captured"),
    ("orderbus-orders", "send order.paid"),
]
FROM_PAID = (
    [("orderbus-logistics", "process order.paid")],
    [
        ("orderbus-inventory", "process order.paid"),
        ("orderbus-inventory", "send stock.deducted"),
        ("orderbus-logistics", "process stock.deducted"),
    ],
)
"""Whichever logistics hears last lets the parcel go."""
BY_DHL = [
    ("orderbus-logistics", "book"),
    ("orderbus-logistics", "record book"),
    ("orderbus-logistics", "notify"),
    ("orderbus-logistics", "record notify"),
]
PUSHED = [("orderbus-logistics", "send tracking.pushed"), ("orderbus-orders", "process tracking.pushed")]


class Trace:
    """The spans of one trace."""

    def __init__(self, spans: Sequence[Received]) -> None:
        self.spans = spans
        self._by_id = {each.span.span_id: each for each in spans}

    def named(self, name: str, service: str = "") -> list[Received]:
        return [each for each in self.spans if each.name == name and each.service.endswith(service)]

    def parent(self, of: Received) -> Received | None:
        return self._by_id.get(of.span.parent_span_id)

    def children(self, of: Received) -> list[Received]:
        return [each for each in self.spans if each.span.parent_span_id == of.span.span_id]

    def way_to(self, name: str, service: str) -> list[tuple[str, str]]:
        """Services and spans from the root to this one. Raises KeyError where a parent is missing."""
        (each,) = self.named(name, service)
        way = [(each.service, each.name)]
        while each.span.parent_span_id:
            each = self._by_id[each.span.parent_span_id]
            way.insert(0, (each.service, each.name))
        return way

    @property
    def is_whole(self) -> bool:
        """Nothing in it hangs in the air, but from what a shop says of its own trace."""
        return all(self.parent(each) or each.span.parent_span_id in (b"", SHOPS_SPAN) for each in self.spans)


async def trace_with(collector: Collector, trace_id: str, *wanted: tuple[str, str]) -> Trace:
    """The trace, once these services have sent these spans of it."""
    async with asyncio.timeout(30):
        while True:
            trace = Trace(collector.trace(trace_id))
            if all(trace.named(name, service) for service, name in wanted) and trace.is_whole:
                return trace
            await asyncio.sleep(0.05)


async def trace_id(shop: Shop, order_id: str) -> str:
    """As the order's timeline tells it."""
    (id,) = {event["trace_id"] for event in (await shop.ask(order_id, "/timeline"))["events"]}
    return str(id)


async def test_an_order_is_one_trace_from_its_post_to_its_tracking_number(shop: Shop, sku: str, collector: Collector) -> None:
    await shop.sell(sku)

    order_id = await shop.order(sku, channel="card", token="tok_ok", ship_to=FAR_AWAY)
    await shop.pushed(order_id)
    await shop.until(order_id, "shipped")

    trace = await trace_with(collector, await trace_id(shop, order_id), LAST)
    post = [("orderbus-orders", name) for name in ("POST /api/orders", "commit", "send order.placed")]
    assert trace.way_to("process tracking.pushed", "orders") in [[*post, *TO_PAID, *way, *BY_DHL, *PUSHED] for way in FROM_PAID]
    kinds = {"POST /api/orders": SERVER, "send order.placed": PRODUCER, "process order.placed": CONSUMER}
    assert {name: trace.named(name)[0].span.kind for name in kinds} == kinds
    assert trace.named("POST /api/orders")[0].attributes["http.response.status_code"] == 201
    process = trace.named("process order.placed", "inventory")[0]
    assert process.attributes["messaging.destination.name"] == "orderbus.events:order.placed:inventory.order.placed"
    assert process.attributes["orderbus.order_id"] == order_id


async def test_statements_and_calls_are_part_of_the_work_they_are_done_for(shop: Shop, sku: str, collector: Collector) -> None:
    await shop.sell(sku)

    order_id = await shop.order(sku, channel="card", token="tok_ok", ship_to=FAR_AWAY)
    await shop.pushed(order_id)

    trace = await trace_with(collector, await trace_id(shop, order_id), LAST)
    (commit,) = trace.named("commit")
    statements = [each for each in trace.children(commit) if each.span.kind == CLIENT]
    assert {"INSERT orders", "INSERT timeline INSERT outbox"} <= {each.name for each in statements}
    assert {each.attributes["db.system.name"] for each in statements} == {"postgresql"}
    calls = [each for each in trace.spans if "peer.service" in each.attributes]
    asked = {(each.attributes["peer.service"], parent.name) for each in calls if (parent := trace.parent(each))}
    assert asked == {("stripe", "charge"), ("dhl", "book"), ("twilio", "notify")}
    said = str([each.span for each in trace.spans])
    assert not [personal for personal in ("李雷", "Torstr", "+4930123456", "13800000000") if personal in said]


async def test_an_order_of_another_system_is_one_trace_from_its_event(
    shop: Shop, sku: str, order_id: str, collector: Collector
) -> None:
    await shop.sell(sku)

    event_id = await shop.bus.publish(a_paid_order(order_id=order_id, sku=sku), source=SHOP)
    await shop.pushed(order_id)
    await shop.until(order_id, "shipped")

    heard = trace_id_of(Envelope(event_id, SHOP, "order.paid", order_id, now()))
    assert await trace_id(shop, order_id) == heard
    trace = await trace_with(collector, heard, LAST)
    way = trace.way_to("process tracking.pushed", "orders")
    assert way[:3] == [
        ("orderbus-orders", "process order.paid"),
        ("orderbus-orders", "send order.placed"),
        ("orderbus-inventory", "process order.placed"),
    ]
    assert way[-2:] == PUSHED


async def test_orders_that_go_through_batches_together_are_a_trace_each(
    shop: Shop, sku: str, order_id: str, collector: Collector
) -> None:
    await shop.sell(sku)
    traces = {f"{order_id}-{n}": f"{n + 1:032x}" for n in range(5)}
    bodies = []
    for id, trace in traces.items():
        envelope = Envelope(id, SHOP, "order.paid", "", now(), traceparent=f"00-{trace}-{SHOPS_SPAN.hex()}-01")
        bodies.append(codec.encode(a_paid_order(order_id=id, sku=sku), envelope))

    await shop.bus.publish_bytes(*codec.join(bodies), "order.paid")

    for id, trace in traces.items():
        await shop.pushed(id)
        await shop.until(id, "shipped")
        assert await trace_id(shop, id) == trace
    admission = ("orderbus-orders", "batch order.paid", 5)

    def batches() -> list[Received]:
        return [
            each
            for each in list(collector.spans)
            if (each.service, each.name, each.attributes.get("messaging.batch.message_count")) == admission
            and each.span.links[0].trace_id.hex() in traces.values()
        ]

    async with asyncio.timeout(30):
        while not batches():
            await asyncio.sleep(0.05)
    (batch,) = batches()
    assert {link.trace_id.hex() for link in batch.span.links} == set(traces.values())
    for id in traces.values():
        admitted = (await trace_with(collector, id, LAST)).named("process order.paid", "orders")[0]
        assert [link.span_id for link in admitted.span.links] == [batch.span.span_id]


@pytest.fixture
async def sparing(running: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Orders begins no traces, to logistics everything is slow, and both tell the collector by gRPC."""
    folder = open_folder(running)
    with monkeypatch.context() as told:
        told.setenv("ORDERBUS_OTLP_ENDPOINT", collector.grpc_url)
        told.setenv("ORDERBUS_OTLP_PROTOCOL", "grpc")
        told.setenv("ORDERBUS_TRACE_RATIO", "0")
        told.setenv("ORDERBUS_TRACE_SLOW_SECONDS", "0.000001")
        await _restart(folder, "logistics")
        told.setenv("ORDERBUS_TRACE_SLOW_SECONDS", "60")
        await _restart(folder, "orders")
        yield
    await _restart(folder, "orders", "logistics")


async def _restart(folder: StackFolder, *roles: str) -> None:
    await asyncio.to_thread(processes.stop, folder, roles)
    await asyncio.to_thread(stack.up, folder=folder)


@pytest.mark.usefixtures("sparing")
async def test_what_failed_or_is_slow_is_seen_though_its_trace_is_not_recorded(
    shop: Shop, sku: str, collector: Collector
) -> None:
    await shop.sell(sku)

    order_id = await shop.order(sku, channel="card", token="tok_server_error_once")
    await shop.pushed(order_id)

    trace = await trace_with(collector, await trace_id(shop, order_id), ("logistics", "process order.paid"), LAST)
    assert not trace.named("POST /api/orders")
    (failed,) = [each for each in trace.spans if each.failed]
    assert (failed.service, failed.protocol, failed.attributes["peer.service"]) == (
        "orderbus-payments",
        "http/protobuf",
        "stripe",
    )
    (slow,) = trace.named("process order.paid", "logistics")
    assert (slow.protocol, slow.span.parent_span_id) == ("grpc", b"")
    assert trace.way_to("process tracking.pushed", "orders")[-2:] == PUSHED
    assert trace.named("process tracking.pushed")[0].protocol == "grpc"


async def test_an_event_that_nobody_can_handle_is_seen_in_trace_and_log(
    shop: Shop, sku: str, collector: Collector, running: Path
) -> None:
    await shop.sell(sku)
    order_id = await shop.order(sku)
    await shop.pushed(order_id)
    refund = PaymentRefunded(order_id=order_id, refund_id="1", amount=Money(amount=1, currency="CNY"), reference="x")

    event_id = await shop.bus.publish(refund, source=SHOP)

    heard = trace_id_of(Envelope(event_id, SHOP, "payment.refunded", order_id, now()))
    trace = await trace_with(collector, heard, ("orders", "process payment.refunded"))
    assert trace.named("process payment.refunded", "orders")[0].attributes["error.type"] == "NotTheirsToSay"
    lines = [json.loads(line) for line in open_folder(running).log("orders").read_text().splitlines() if "event failed" in line]
    assert [(line["trace_id"], line["order_id"]) for line in lines if line.get("event_id") == event_id] == [(heard, order_id)]
