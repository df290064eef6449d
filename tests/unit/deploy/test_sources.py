"""Where servers come from, and what a person is told who has none."""

from pathlib import Path

import pytest

from deploy.stack import docker, packages
from deploy.stack.servers import Source, choose_source
from deploy.stack.state import open_folder


@pytest.mark.parametrize(
    ("before", "has_docker", "is_installed", "source"),
    [
        (None, True, True, Source.DOCKER),
        (None, False, True, Source.PROGRAMS),
        (None, False, False, None),
        ("programs", True, True, Source.PROGRAMS),
        ("programs", True, False, Source.DOCKER),
        ("docker", False, True, Source.PROGRAMS),
    ],
)
def test_docker_comes_before_the_machines_programs_unless_the_data_lies_there(
    before: str | None, *, has_docker: bool, is_installed: bool, source: Source | None
) -> None:
    assert choose_source(before, has_docker=has_docker, is_installed=is_installed) == source


def test_who_has_no_servers_is_told_exactly_what_to_install() -> None:
    told = packages.how_to_install(["rabbitmq", "redis"])

    assert "apt-get install rabbitmq-server redis-server" in told
    assert "ORDERBUS_RABBITMQ_URL ORDERBUS_REDIS_URL" in told
    assert "postgres" not in told


@pytest.mark.parametrize("role", docker.CONTAINERS)
def test_a_container_is_this_stacks_own_on_loopback_and_keeps_its_secret(role: str, tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    chosen = dict.fromkeys(("postgres", "rabbitmq", "rabbitmq_management", "rabbitmq_prometheus", "redis"), 21_000)

    arguments = docker.run_arguments(folder, role, chosen)

    assert f"{docker.LABEL}={folder.id}" in arguments
    published = [arguments[at + 1] for at, word in enumerate(arguments) if word == "--publish"]
    assert published
    assert all(port.startswith("127.0.0.1:21000:") for port in published)
    assert not any("{password}" in word for word in arguments)
