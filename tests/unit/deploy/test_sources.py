"""Where servers come from, and what a person is told who has none."""

import re
from pathlib import Path

import pytest

from deploy.stack import docker, packages, processes, urls
from deploy.stack.servers import FILE, NAMED, SERVERS, Source, choose_source, start_servers, stop_servers
from deploy.stack.state import StackError, open_folder


@pytest.mark.parametrize(
    ("before", "has_docker", "is_installed", "source"),
    [
        (None, True, True, Source.DOCKER),
        (None, False, True, Source.PROGRAMS),
        (None, False, False, None),
        ("programs", True, True, Source.PROGRAMS),
        ("programs", True, False, None),
        ("docker", True, True, Source.DOCKER),
        ("docker", False, True, None),
    ],
)
def test_docker_comes_before_the_machines_programs_and_where_the_data_lies_before_both(
    before: str | None, *, has_docker: bool, is_installed: bool, source: Source | None
) -> None:
    assert choose_source(before, has_docker=has_docker, is_installed=is_installed) == source


def test_who_has_no_servers_is_told_exactly_what_to_install() -> None:
    told = packages.how_to_install(["rabbitmq", "redis"])

    assert "apt-get install rabbitmq-server redis-server" in told
    assert "ORDERBUS_RABBITMQ_URL ORDERBUS_REDIS_URL" in told
    assert "postgres" not in told


def test_data_in_docker_is_not_replaced_by_an_empty_server_while_docker_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _named_by_url(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = open_folder(tmp_path / "stack")
    folder.write(FILE, {"postgres": "docker", "rabbitmq": "programs", "redis": "docker"})

    with pytest.raises(StackError, match=r"redis, postgres lies in Docker, which does not answer.*down --erase"):
        start_servers(folder.path)

    assert folder.read(FILE) == {"postgres": "docker", "rabbitmq": "programs", "redis": "docker"}
    stop_servers(folder.path, erase=True)
    assert folder.read(FILE) == {}


def test_a_server_named_by_url_is_not_replaced_by_an_empty_one_until_the_stack_was_taken_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _named_by_url(monkeypatch)
    folder = open_folder(tmp_path)
    folder.write(NAMED, {"postgres": "ORDERBUS_POSTGRES_URL"})

    with pytest.raises(StackError, match=r"ORDERBUS_POSTGRES_URL named, which nothing names now.*orderbus down"):
        start_servers(folder.path)

    stop_servers(folder.path)
    assert folder.read(NAMED) == {}


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("postgres", "sesame"),
        ("postgres", "http://127.0.0.1:1/orderbus"),
        ("postgres", "postgresql://boss:pw@127.0.0.1:1"),
        ("postgres", "postgresql://boss:pw@127.0.0.1:1/"),
        ("postgres", "postgresql:///orderbus"),
        ("postgres", "postgresql://boss:sesame/2@127.0.0.1:1/orderbus"),
        ("postgres", "postgresql://boss:11/sesame@127.0.0.1:1/orderbus"),
        ("postgres", "postgresql://boss:11#sesame@127.0.0.1:1/orderbus"),
        ("postgres", "postgresql://boss:s@sam/e@127.0.0.1:1/orderbus"),
        ("postgres", "postgresql://boss:pw@127.0.0.1:66000/orderbus"),
        ("postgres", "postgresql://boss:pw@127.0.0.1:1/orderbus?sslmode=sesame"),
        ("postgres", "postgresql://boss:pw@[::1/orderbus"),
        ("rabbitmq", "sesame"),
        ("rabbitmq", "http://127.0.0.1:1/"),
        ("rabbitmq", "amqp://boss:sesame/2@127.0.0.1:1/"),
        ("rabbitmq", "amqp://boss:pw@127.0.0.1:sesame/"),
        ("redis", "sesame"),
        ("redis", "redis://:sesame/2@127.0.0.1:1/0"),
        ("redis", "redis://127.0.0.1:66000/0"),
    ],
)
def test_what_is_no_url_of_a_server_is_refused_without_being_repeated(
    server: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _named_by_url(monkeypatch, **{server: url})

    with pytest.raises(StackError, match=f"ORDERBUS_{server.upper()}_URL is not a URL of the form ") as refused:
        start_servers(tmp_path)

    assert "sesame" not in str(refused.value)
    assert "s@sam" not in str(refused.value)


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("postgres", "postgresql://boss:p%40%2Fw@one.example:5432,two.example:5432/my%20shop?target_session_attrs=any"),
        ("postgres", "postgres://boss@/orderbus?host=/run/postgresql"),
        ("rabbitmq", "amqps://boss:pw@mq.example"),
        ("rabbitmq", "amqp://boss:pw@mq.example:5672/%2F?heartbeat=15"),
        ("redis", "rediss://:pw@cache.example:6380/0"),
    ],
)
def test_a_server_may_be_named_in_any_form_that_its_client_reads(server: str, url: str) -> None:
    assert urls.is_of_form(server, url)


@pytest.mark.skipif(docker.answers(), reason="containers see nothing of the path")
@pytest.mark.parametrize("sign", ["'", '"', "\\", "[", "密"])
def test_a_folder_whose_name_the_programs_cannot_work_with_is_refused_at_once(
    sign: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _named_by_url(monkeypatch)
    folder = tmp_path / f"a{sign}b"

    with pytest.raises(StackError, match=f"do not start in a folder with {re.escape(sign)} in its path"):
        start_servers(folder)

    assert processes.roles(open_folder(folder)) == set()


def _named_by_url(monkeypatch: pytest.MonkeyPatch, **urls: str) -> None:
    """These servers and no others."""
    for name in SERVERS:
        monkeypatch.delenv(f"ORDERBUS_{name.upper()}_URL", raising=False)
    for name, url in urls.items():
        monkeypatch.setenv(f"ORDERBUS_{name.upper()}_URL", url)


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
