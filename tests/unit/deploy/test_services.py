"""Each process is told what it needs, and nothing that is another's."""

from collections.abc import Mapping
from pathlib import Path

import pytest

import deploy.services
from deploy.stack import credentials, services
from deploy.stack.credentials import SERVICES, Credentials
from deploy.stack.servers import Postgres, RabbitMQ, Redis, Servers
from deploy.stack.state import open_folder

SERVERS = Servers(
    Postgres("postgresql://boss:pw@127.0.0.1:20001/orderbus", "postgresql://boss:pw@127.0.0.1:20001/orderbus", 1),
    RabbitMQ("amqp://boss:pw@127.0.0.1:20002/", "http://boss:pw@127.0.0.1:20003", 2),
    Redis("redis://:pw@127.0.0.1:20004/0", 3),
)
CHOSEN = {role: 21_000 + number for number, role in enumerate(services.ROLES)}


@pytest.fixture
def secrets(tmp_path: Path) -> Credentials:
    return credentials.keep(open_folder(tmp_path))


@pytest.fixture
def told(tmp_path: Path, secrets: Credentials) -> Mapping[str, Mapping[str, str]]:
    folder = open_folder(tmp_path)
    return {role: services.settings_of(role, folder, SERVERS, secrets, CHOSEN) for role in services.ROLES}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_enters_the_database_as_its_own_role(
    service: str, told: Mapping[str, Mapping[str, str]], secrets: Credentials
) -> None:
    password = secrets.role_passwords[service]

    assert told[service]["ORDERBUS_POSTGRES_URL"] == (f"postgresql://orderbus_{service}:{password}@127.0.0.1:20001/orderbus")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_enters_the_bus_as_its_own_user(
    service: str, told: Mapping[str, Mapping[str, str]], secrets: Credentials
) -> None:
    password = secrets.bus_passwords[service]

    assert told[service]["ORDERBUS_RABBITMQ_URL"] == f"amqp://orderbus_{service}:{password}@127.0.0.1:20002/%2F"


def test_where_no_users_can_be_made_a_service_enters_the_bus_as_the_user_that_was_given() -> None:
    assert services.bus_url(RabbitMQ("amqp://boss:pw@mq.example/", None, None), "orders", "x") == "amqp://boss:pw@mq.example/"


def test_a_partners_secret_is_known_to_who_calls_it_only(told: Mapping[str, Mapping[str, str]], secrets: Credentials) -> None:
    def who_knows(secret: str) -> set[str]:
        return {role for role in services.ROLES if secrets[secret] in told[role].values()}

    assert who_knows("stripe_secret_key") == {"payments", "sandbox"}
    assert who_knows("dhl_webhook_secret") == {"logistics", "sandbox"}
    assert who_knows("twilio_auth_token") == {"logistics", "sandbox"}


def test_the_sandbox_gets_no_server_and_sends_webhooks_to_who_awaits_them(
    told: Mapping[str, Mapping[str, str]],
) -> None:
    sandbox = told["sandbox"]

    assert "ORDERBUS_POSTGRES_URL" not in sandbox
    assert sandbox["ORDERBUS_SANDBOX_STRIPE_WEBHOOK_URL"] == (f"http://127.0.0.1:{CHOSEN['payments']}/api/webhooks/stripe")
    assert sandbox["ORDERBUS_SANDBOX_DHL_WEBHOOK_URL"] == f"http://127.0.0.1:{CHOSEN['logistics']}/api/webhooks/dhl"


def test_partners_are_called_at_the_sandbox(told: Mapping[str, Mapping[str, str]]) -> None:
    sandbox = f"http://127.0.0.1:{CHOSEN['sandbox']}"

    assert told["payments"]["ORDERBUS_STRIPE_URL"] == f"{sandbox}/stripe"
    assert told["logistics"]["ORDERBUS_DHL_URL"] == f"{sandbox}/dhl"
    assert told["logistics"]["ORDERBUS_TWILIO_URL"] == f"{sandbox}/twilio"


def test_an_operators_own_settings_reach_the_services(told: Mapping[str, Mapping[str, str]]) -> None:
    caller = {"ORDERBUS_LOG_LEVEL": "DEBUG", "ORDERBUS_STRIPE_URL": "https://partner.example", "OTEL_SERVICE_NAME": "x"}

    environment = services.environment_of(told["payments"], caller)

    assert caller.items() <= environment.items()


def test_no_setting_of_the_caller_leads_a_service_to_other_servers(told: Mapping[str, Mapping[str, str]]) -> None:
    caller = {
        "ORDERBUS_POSTGRES_URL": "postgresql://elsewhere",
        "ORDERBUS_POSTGRES_URL_FILE": "/elsewhere",
        "ORDERBUS_PORT": "1",
        "AWS_SECRET_ACCESS_KEY": "nobody's business",
    }

    environment = services.environment_of(told["orders"], caller)

    assert environment["ORDERBUS_POSTGRES_URL"] == told["orders"]["ORDERBUS_POSTGRES_URL"]
    assert environment["ORDERBUS_PORT"] == str(CHOSEN["orders"])
    assert "ORDERBUS_POSTGRES_URL_FILE" not in environment
    assert "AWS_SECRET_ACCESS_KEY" not in environment


def test_a_role_url_survives_a_password_with_signs_of_its_own() -> None:
    url = services.role_url("postgresql://boss:p%40w@db.example:6000/shop?sslmode=require", "orders", "a/b@c")

    assert url == "postgresql://shop_orders:a%2Fb%40c@db.example:6000/shop?sslmode=require"


def test_a_role_is_named_after_the_database_and_not_after_how_a_url_writes_it() -> None:
    url = services.role_url("postgresql://boss:pw@db.example/my%20shop", "orders", "pw")

    assert url == "postgresql://my%20shop_orders:pw@db.example/my%20shop"


def test_the_names_of_the_services_are_those_that_there_are() -> None:
    assert tuple(deploy.services.SERVICES) == SERVICES
