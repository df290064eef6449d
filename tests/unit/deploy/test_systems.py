"""What another system may be called, may say and may hear; how users are told apart on one broker; and which broker is meant."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import systems as command_line
from deploy.rabbitmq import names, systems
from deploy.rabbitmq.access import NOTHING, one_of, rights_of
from deploy.services import SERVICES
from deploy.stack import state


@pytest.mark.parametrize(
    ("name", "source", "publishes", "hears", "reason"),
    [
        ("a", "/orderbus/orders", "", "", "our own"),
        ("a", "/orderbus", "", "", "our own"),
        ("a", "/shops/a b", "", "", "source: "),
        ("a", "", "", "", "source: "),
        ("A.b", "/shops/a", "", "", "name: "),
        ("a_orders", "/shops/a", "", "", "name: "),
        ("a", "/shops/a", "stock.reserved", "", "not for other systems"),
        ("a", "/shops/a", "order.*", "", "not for other systems"),
        ("a", "/shops/a", "", "no.such", "no event is called"),
        ("a", "/shops/a", "", "ord*", "no event is called"),
        ("a", "/shops/a", "", "order", "no event is called"),
    ],
)
def test_what_no_system_may_be(name: str, source: str, publishes: str, hears: str, reason: str) -> None:
    (wrong,) = systems.whats_wrong(name, source, publishes.split(), hears.split())

    assert reason in wrong


@pytest.mark.parametrize("pattern", ["#", "*.paid", "order.#", "#.paid", "order.paid.#", "*.*", "#.#", "order.paid"])
def test_types_are_heard_by_patterns_as_in_any_topic_exchange(pattern: str) -> None:
    assert systems.whats_wrong("a", "/shops/a", (), [pattern]) == []


def test_a_source_may_be_a_path_or_a_uri() -> None:
    assert systems.whats_wrong("a", "https://erp.example/orderbus/1", ["order.paid"], []) == []


def test_a_service_says_what_it_announces_and_orders_what_it_passes_on() -> None:
    types = {name: rights_of(service).types for name, service in SERVICES.items()}

    assert "stock.reserved" in types["inventory"]
    assert "stock.reserved" not in types["orders"]
    assert {"order.submitted", "order.paid", "payment.refunded"} <= types["orders"]
    assert "order.submitted" not in types["payments"]


def test_no_names_are_no_right_and_a_dot_is_a_dot() -> None:
    assert one_of([]) == NOTHING
    assert one_of(["b", "a.b"]) == r"^(a\.b|b)$"


@pytest.mark.parametrize(
    ("url", "vhost"),
    [
        ("amqp://host", "/"),
        ("amqp://host/", "/"),
        ("amqp://host/%2F", "/"),
        ("amqp://host//", "/"),
        ("amqp://host/shop1", "shop1"),
        ("amqp://host/a%2Fb", "a/b"),
    ],
)
def test_the_vhost_of_a_url(url: str, vhost: str) -> None:
    assert names.vhost_of(url) == vhost


def test_no_two_installations_on_a_broker_share_a_user() -> None:
    vhosts = ["/", "orderbus", "orderbus_orders", "a", "a.b", "a_b", ".a", "_a"]
    users = [names.service_user(vhost, service) for vhost in vhosts for service in SERVICES]
    users += [names.system_user(vhost, name) for vhost in vhosts for name in ("orders", "a", "b", "a-b")]

    assert len(users) == len(set(users))


def test_another_user_enters_the_same_place() -> None:
    url = names.user_url("amqps://boss:p%40w@mq.example:5671/shop1?heartbeat=15", "orderbus_shop1_orders", "a/b@c")

    assert url == "amqps://orderbus_shop1_orders:a%2Fb%40c@mq.example:5671/shop1?heartbeat=15"
    assert names.user_url("amqp://boss:pw@mq.example", "u", "p") == "amqp://u:p@mq.example/%2F"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose stack has run before the machine was started anew."""
    for name in ("ORDERBUS_RABBITMQ_URL", "ORDERBUS_RABBITMQ_MANAGEMENT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(state, "CHECKOUT", tmp_path)
    rabbitmq = {"url": "amqp://boss:pw@127.0.0.1:1/", "management_url": "http://boss:pw@127.0.0.1:1", "pid": 7}
    state.checkout_folder().write("stack.json", {"rabbitmq": rabbitmq})
    return tmp_path


@pytest.mark.parametrize(
    ("given", "missing", "url"),
    [
        ("ORDERBUS_RABBITMQ_URL", "ORDERBUS_RABBITMQ_MANAGEMENT_URL", "amqp://boss:pw@mq.example/"),
        ("ORDERBUS_RABBITMQ_MANAGEMENT_URL", "ORDERBUS_RABBITMQ_URL", "http://boss:pw@mq.example:15672"),
    ],
)
def test_half_a_broker_is_not_taken_for_this_checkouts(
    given: str, missing: str, url: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(given, url)

    answer = CliRunner().invoke(command_line.app, ["list"])

    assert checkout
    assert answer.exit_code == 1
    assert f"{given} is set and {missing} is not: both or neither" in answer.output


def test_a_broker_of_this_checkout_that_does_not_run_is_to_be_started_not_configured(checkout: Path) -> None:
    answer = CliRunner().invoke(command_line.app, ["list"])

    assert checkout
    assert answer.exit_code == 1
    assert "./orderbus up starts it" in answer.output
    assert "rabbitmq-plugins" not in answer.output


def test_a_broker_elsewhere_that_does_not_answer_may_lack_the_plugin(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERBUS_RABBITMQ_URL", "amqp://boss:pw@127.0.0.1:1/")
    monkeypatch.setenv("ORDERBUS_RABBITMQ_MANAGEMENT_URL", "http://127.0.0.1:1")

    assert checkout
    assert "rabbitmq-plugins enable" in CliRunner().invoke(command_line.app, ["list"]).output
