"""docker-compose.yml confines every container, and tells the services what they need."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.stack.credentials import SERVICES

CHECKOUT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"prepare", "keys"}

every_container = pytest.mark.parametrize("name", CONTAINERS)


def test_the_whole_of_orderbus_is_there() -> None:
    assert set(CONTAINERS) == {"postgres", "rabbitmq", "redis", "sandbox", *SERVICES, *ONE_SHOT}


@every_container
def test_a_container_can_write_to_its_data_and_to_memory_only(name: str) -> None:
    container = CONTAINERS[name]

    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in container["security_opt"]
    assert container["tmpfs"]


@every_container
def test_no_container_runs_as_root(name: str) -> None:
    user, _, group = str(CONTAINERS[name]["user"]).partition(":")

    assert int(user) > 0
    assert int(group) > 0


@every_container
def test_no_container_can_take_the_whole_machine(name: str) -> None:
    limits = CONTAINERS[name]["deploy"]["resources"]["limits"]

    assert limits["cpus"]
    assert limits["memory"]
    assert limits["pids"]


@every_container
def test_an_image_is_pinned_to_one_release(name: str) -> None:
    assert re.search(r":\d+\.\d+(\.\d+)?(-[a-z-]+)?$", CONTAINERS[name]["image"])


@every_container
def test_whatever_stays_says_whether_it_is_well(name: str) -> None:
    check = CONTAINERS[name]["healthcheck"]

    assert check == {"disable": True} if name in ONE_SHOT else check["test"]


@every_container
def test_only_this_machine_reaches_a_container(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in CONTAINERS[name].get("ports", []))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_waits_for_its_servers_and_its_schema(service: str) -> None:
    awaited = {name: how["condition"] for name, how in CONTAINERS[service]["depends_on"].items()}

    assert awaited == {
        **dict.fromkeys(("postgres", "rabbitmq", "redis"), "service_healthy"),
        **dict.fromkeys(("prepare", "keys"), "service_completed_successfully"),
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_uses_its_own_role(service: str) -> None:
    assert f"//orderbus_{service}:" in CONTAINERS[service]["environment"]["ORDERBUS_POSTGRES_URL"]
    assert CONTAINERS[service]["command"] == [f"services.{service}"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_uses_its_own_user_on_the_bus(service: str) -> None:
    assert f"//orderbus_{service}:" in CONTAINERS[service]["environment"]["ORDERBUS_RABBITMQ_URL"]


def test_every_setting_has_the_default_that_the_example_documents() -> None:
    text = (CHECKOUT / "docker-compose.yml").read_text()
    used = dict(re.findall(r"\$\{(ORDERBUS_\w+):-([^}]*)\}", text))
    example = dict(
        line.split("=", 1) for line in (CHECKOUT / ".env.example").read_text().splitlines() if line and not line.startswith("#")
    )

    assert used == example
    assert not re.search(r"\$\{\w+\}", text), "a setting without a default"


def test_the_image_runs_as_nobody_in_particular() -> None:
    lines = (CHECKOUT / "deploy" / "Dockerfile").read_text().splitlines()

    assert [line for line in lines if line.startswith("USER")][-1] == "USER 10001:10001"
    assert all(re.search(r":\d+\.\d+\.\d+-", line) for line in lines if line.startswith("FROM"))
