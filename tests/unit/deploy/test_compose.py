"""docker-compose.yml confines every container, and tells the services what they need."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.stack.credentials import SERVICES

CHECKOUT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"prepare", "keys", "audit-role"}
OBSERVED = {name for name, container in CONTAINERS.items() if container.get("profiles") == ["observability"]}
MUTE = {"collector", "logs", "tempo"}
"""Their images hold one program and nothing to ask it with; Prometheus and Grafana notice when they are gone."""
READS_DOCKERS_FILES = "logs"

every_container = pytest.mark.parametrize("name", CONTAINERS)


def test_the_whole_of_orderbus_is_there() -> None:
    assert set(CONTAINERS) - OBSERVED == {"postgres", "rabbitmq", "redis", "sandbox", "gateway", *SERVICES, "prepare", "keys"}
    assert {"audit", "audit-role", "collector", "logs", "tempo", "loki", "prometheus", "alertmanager", "grafana"} <= OBSERVED


def test_it_is_what_compose_reads() -> None:
    schema = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*schema, str(CHECKOUT / "docker-compose.yml")], capture_output=True, text=True)
    docker = shutil.which("docker")
    has_compose = docker and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0

    assert checked.returncode == 0, checked.stdout
    if docker and has_compose:
        for profile in ([], ["--profile", "observability"]):
            command = [docker, "compose", "--file", str(CHECKOUT / "docker-compose.yml"), *profile, "config", "--quiet"]
            read = subprocess.run(command, capture_output=True, text=True)
            assert read.returncode == 0, read.stderr


def test_nothing_waits_for_what_another_profile_may_not_start() -> None:
    for name, container in CONTAINERS.items():
        waits_for = container.get("depends_on", {})
        assert waits_for.keys() <= CONTAINERS.keys()
        assert name in OBSERVED or not waits_for.keys() & OBSERVED


@every_container
def test_what_a_container_is_given_is_there(name: str) -> None:
    for volume in CONTAINERS[name].get("volumes", []):
        source, _, mode = volume.partition(":")
        if source.startswith("./"):
            assert mode.endswith(":ro")
            assert (CHECKOUT / source).exists()
        elif source.isidentifier():
            assert source in COMPOSE["volumes"]


@every_container
def test_a_container_can_write_to_its_data_and_to_memory_only(name: str) -> None:
    container = CONTAINERS[name]

    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "gateway" else [])
    assert not {"privileged", "pid", "network_mode", "userns_mode", "ipc", "devices"} & container.keys()
    assert "no-new-privileges:true" in container["security_opt"]
    assert container["tmpfs"]


@pytest.mark.parametrize("name", CONTAINERS.keys() - {READS_DOCKERS_FILES})
def test_no_container_runs_as_root(name: str) -> None:
    user, _, group = str(CONTAINERS[name]["user"]).partition(":")

    assert int(user) > 0
    assert int(group) > 0


def test_who_is_root_reads_dockers_files_and_reaches_nothing_of_the_machines_beside() -> None:
    container = CONTAINERS[READS_DOCKERS_FILES]
    mounted = [volume for volume in container["volumes"] if not volume.startswith(("./", "logs:"))]

    assert mounted == ["${ORDERBUS_DOCKER_LOGS:-/var/lib/docker/containers}:/var/lib/docker/containers:ro"]
    assert "ports" not in container


def test_nobody_has_the_engines_socket() -> None:
    assert "docker.sock" not in (CHECKOUT / "docker-compose.yml").read_text()


@every_container
def test_no_container_can_take_the_whole_machine(name: str) -> None:
    limits = CONTAINERS[name]["deploy"]["resources"]["limits"]

    assert limits["cpus"]
    assert limits["memory"]
    assert limits["pids"]


@every_container
def test_an_image_is_pinned_to_one_release(name: str) -> None:
    assert re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z-]+)?$", CONTAINERS[name]["image"])


@every_container
def test_whatever_stays_says_whether_it_is_well(name: str) -> None:
    check = CONTAINERS[name]["healthcheck"]

    assert check == {"disable": True} if name in ONE_SHOT | MUTE else check["test"]


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


@every_container
def test_nobody_but_who_makes_it_is_given_what_signs_tokens(name: str) -> None:
    """With it a service that was taken over would be anybody, at all four."""
    assert name == "keys" or not any(volume.startswith("keys:") for volume in CONTAINERS[name].get("volumes", []))


def test_the_audit_has_a_role_that_only_reads() -> None:
    statements = re.findall(r"GRANT .* TO orderbus_audit;", CONTAINERS["audit-role"]["command"][2])
    secrets = re.findall(r"ORDERBUS_\w+_PASSWORD", str(CONTAINERS["audit"]["environment"]))

    assert statements == ["GRANT pg_read_all_data TO orderbus_audit;"]
    assert "//orderbus_audit:" in CONTAINERS["audit"]["environment"]["ORDERBUS_POSTGRES_URL"]
    assert secrets == ["ORDERBUS_AUDIT_DB_PASSWORD"]


def test_administrators_passwords_are_with_the_servers_and_who_makes_roles_alone() -> None:
    """An exporter is another's program, which needs none of what is in the database."""
    given = {name for name, container in CONTAINERS.items() if "ORDERBUS_POSTGRES_PASSWORD" in str(container)}

    assert given == {"postgres", "prepare", "audit-role"}


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
