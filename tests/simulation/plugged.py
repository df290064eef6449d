"""The services' own handlers and jobs, with stores in memory and partners that are simulated."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from inspect import isfunction
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol

import services.inventory.handlers
import services.inventory.store
import services.logistics.handlers
import services.logistics.jobs
import services.logistics.progress
import services.logistics.sms
import services.logistics.store
import services.orders.admission
import services.orders.handlers
import services.orders.jobs
import services.orders.store
import services.payments.channels
import services.payments.handlers
import services.payments.store
from services.logistics.carriers import Carrier
from services.logistics.routing import CarrierName, Rule
from services.payments.channels import Channel
from tests.simulation.memory import inventory, logistics, orders, payments
from tests.simulation.partners import Texts

STORES: tuple[tuple[ModuleType, ModuleType], ...] = (
    (services.orders.store, orders),
    (services.inventory.store, inventory),
    (services.payments.store, payments),
    (services.logistics.store, logistics),
)

RESERVED_FOR = timedelta(minutes=15)
REVIEW_QUANTITY = 5
REVIEW_ABOVE = 100_000

ROUTES = (
    Rule(country="CN", postcode_prefix="31", carrier=CarrierName.OWN_FLEET),
    Rule(country="CN", carrier=CarrierName.DHL),
    Rule(country="DE", carrier=CarrierName.DHL),
)
"""Nobody goes elsewhere."""


class Partners(Protocol):
    """Whom the history of the moment is played with."""

    @property
    def channels(self) -> Mapping[str, Channel]: ...
    @property
    def carriers(self) -> Mapping[str, Carrier]: ...
    @property
    def texts(self) -> Texts: ...


class Stage:
    """Where one history after another is played."""

    partners: Partners


def stand_ins(memory: ModuleType) -> dict[str, Any]:
    """The store functions that a file in memory/ has, by name."""
    return {
        name: each
        for name, each in vars(memory).items()
        if isfunction(each) and each.__module__ == memory.__name__ and not name.startswith("_")
    }


@contextmanager
def plugged() -> Iterator[Stage]:
    """For as long as it lasts, no service has a database or calls anybody."""
    stage = Stage()
    orders_told = SimpleNamespace(orders_return_window=3600.0, orders_review_quantity=REVIEW_QUANTITY)
    replaced: list[tuple[ModuleType, str, Any]] = [
        (store, name, function) for store, memory in STORES for name, function in stand_ins(memory).items()
    ]
    replaced += [
        *((module, "settings", lambda: orders_told) for module in (services.orders.handlers, services.orders.admission)),
        (services.orders.jobs, "settings", lambda: orders_told),
        (services.inventory.handlers, "settings", lambda: SimpleNamespace(reservation_ttl=RESERVED_FOR)),
        (services.payments.handlers, "settings", lambda: SimpleNamespace(review_above=REVIEW_ABOVE)),
        (services.payments.channels, "offered", lambda: stage.partners.channels),
        (services.logistics.handlers, "settings", lambda: SimpleNamespace(routes=ROUTES)),
        *(
            (module, "carriers", lambda: stage.partners.carriers)
            for module in (services.logistics.handlers, services.logistics.progress, services.logistics.jobs)
        ),
        (services.logistics.sms, "is_offered", lambda: stage.partners.texts.is_offered()),
        (services.logistics.sms, "send", lambda phone, text: stage.partners.texts.send(phone, text)),
        (services.logistics.sms, "find", lambda phone, number: stage.partners.texts.find(phone, number)),
    ]
    kept = [(module, name, getattr(module, name)) for module, name, _ in replaced]
    for module, name, function in replaced:
        setattr(module, name, function)
    try:
        yield stage
    finally:
        for module, name, function in kept:
            setattr(module, name, function)
