"""What orders says of itself to Prometheus."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import structlog
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from services.orders.settings import settings
from shared import codec, redaction, telemetry
from shared.events import Envelope
from shared.events.payments import PaymentCaptured, PaymentReviewRequired
from shared.events.shipments import TrackingPushed
from shared.events.stock import StockReserved
from shared.money import Money
from tests.service.house import Bus, Client
from tests.service.orders.asking import a_wish, sell

OPENMETRICS = {"accept": "application/openmetrics-text; version=1.0.0"}


class Metrics(dict[tuple[str, frozenset[str]], float]):
    """Samples by their name and the values of their labels; one that is not there is 0."""

    def __missing__(self, key: object) -> float:
        return 0.0


async def counted(orders: Client) -> Metrics:
    text = (await orders.get("/metrics", headers=OPENMETRICS)).text
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    samples = [sample for family in families for sample in family.samples]
    return Metrics({(sample.name, frozenset(sample.labels.values())): sample.value for sample in samples})


def orders_that_came_to(status: str, channel: str) -> tuple[str, frozenset[str]]:
    return "orderbus_orders_total", frozenset((status, channel))


async def test_an_order_is_counted_by_status_and_channel_and_each_milestone_once(bus: Bus, orders: Client, sku: str) -> None:
    await sell(bus, orders, sku)
    before = await counted(orders)
    order_id = (await orders.post("/api/orders", json=a_wish(sku))).json()["order_id"]
    captured = PaymentCaptured(
        order_id=order_id, payment_id="p", channel="invoice", amount=Money(amount=29900, currency="CNY"), reference="r"
    )
    told = TrackingPushed(order_id=order_id, shipment_id="s", carrier="own_fleet", tracking_number="OF1", channel="app")

    for event, source in ((StockReserved(order_id=order_id, allocations=()), "inventory"), (captured, "payments")):
        await bus.publish(event, source=f"/orderbus/{source}")
    while (await orders.get(f"/api/orders/{order_id}")).json()["status"] != "paid":
        await asyncio.sleep(0.02)
    for _ in range(2):
        await bus.publish(told, source="/orderbus/logistics", id=f"{order_id}-pushed")
    while (await orders.get(f"/api/orders/{order_id}")).json()["status"] != "shipped":
        await asyncio.sleep(0.02)
    duplicates = ("orderbus_events_handled_total", frozenset(("tracking.pushed", "duplicate")))
    while (after := await counted(orders))[duplicates] == before[duplicates]:
        await asyncio.sleep(0.02)

    for status in ("placed", "paid", "shipped"):
        key = orders_that_came_to(status, "invoice")
        assert after[key] - before[key] == 1
    for milestone in ("paid", "pushed"):
        key = ("orderbus_order_milestone_seconds_count", frozenset((milestone,)))
        assert after[key] - before[key] == 1
    countries = ("orderbus_orders_accepted_total", frozenset(("CN",)))
    assert after[countries] - before[countries] == 1


async def test_a_channel_that_nobody_knows_makes_no_series_of_its_own(bus: Bus, orders: Client, sku: str) -> None:
    await sell(bus, orders, sku)

    await orders.post("/api/orders", json=a_wish(sku, payment={"channel": f"made_up_{sku[-8:].lower()}"}))

    assert "made_up" not in (text := (await orders.get("/metrics")).text)
    assert 'orderbus_orders_total{channel="other",status="placed"}' in text


async def test_an_order_that_is_stopped_is_counted_by_who_stopped_it(bus: Bus, orders: Client, sku: str) -> None:
    await sell(bus, orders, sku)
    before = await counted(orders)
    order_id = (await orders.post("/api/orders", json=a_wish(sku))).json()["order_id"]

    review = PaymentReviewRequired(order_id=order_id, payment_id="p", reasons=("much money",))
    await bus.publish(review, source="/orderbus/payments")
    while (await orders.get(f"/api/orders/{order_id}")).json()["status"] != "held":
        await asyncio.sleep(0.02)
    await orders.post("/api/orders", json=a_wish(sku, quantity=1001))

    after = await counted(orders)
    for by in ("payments", "orders"):
        key = ("orderbus_orders_intercepted_total", frozenset((by,)))
        assert after[key] - before[key] == 1


@pytest.fixture
def traced(orders: Client) -> Iterator[None]:
    """There is a collector."""
    telemetry.configure(settings(), "orders", InMemorySpanExporter())
    yield
    telemetry.configure(settings().model_copy(update={"otlp_endpoint": None}), "orders")
    structlog.reset_defaults()
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if not isinstance(handler.formatter, redaction.Lines)]


@pytest.mark.usefixtures("traced")
async def test_a_slow_order_can_be_found_by_its_trace(bus: Bus, orders: Client, sku: str) -> None:
    await sell(bus, orders, sku)
    order_id = (await orders.post("/api/orders", json=a_wish(sku))).json()["order_id"]
    trace_id = uuid4().hex
    told = TrackingPushed(order_id=order_id, shipment_id="s", carrier="own_fleet", tracking_number="OF1", channel="app")
    at = datetime.now(UTC) + timedelta(hours=7)  # nobody else's order takes so long
    envelope = Envelope(
        trace_id, "/orderbus/logistics", told.type, order_id, at, order_id, traceparent=f"00-{trace_id}-{'1' * 16}-01"
    )

    await bus.publish_bytes(*codec.join([codec.encode(told, envelope)]), told.type)
    while (await orders.get(f"/api/orders/{order_id}")).json()["status"] != "shipped":
        await asyncio.sleep(0.02)

    def is_told(exposition: str) -> bool:
        return any(
            line.startswith("orderbus_order_milestone_seconds_bucket") and 'milestone="pushed"' in line
            for line in exposition.splitlines()
            if f'# {{trace_id="{trace_id}"}}' in line
        )

    # counted once it is committed: whoever reads may be a moment earlier
    while not is_told((await orders.get("/metrics", headers=OPENMETRICS)).text):
        await asyncio.sleep(0.02)
