"""Ports are free when chosen, and stay what they were."""

import random
import socket
from collections.abc import Iterator

import pytest

from deploy.stack import ports
from deploy.stack.state import open_folder


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody else listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        yield listener.getsockname()[1]


def test_every_name_gets_a_port_of_its_own() -> None:
    chosen = ports.choose(["orders", "payments", "redis"], remembered={}, in_use_by_us=[])

    assert len(set(chosen.values())) == 3
    assert all(port in ports.RANGE for port in chosen.values())


def test_whoever_was_given_the_same_seed_chooses_other_ports() -> None:
    chosen = []
    for _ in range(4):
        random.seed(1)
        chosen.append(ports.choose(["orders"], remembered={}, in_use_by_us=[])["orders"])

    assert len(set(chosen)) > 1


def test_a_remembered_port_is_kept_while_it_is_free() -> None:
    first = ports.choose(["orders"], remembered={}, in_use_by_us=[])

    assert ports.choose(["orders", "payments"], remembered=first, in_use_by_us=[])["orders"] == first["orders"]


def test_a_port_that_a_stranger_took_is_given_up_and_said_so(taken: int) -> None:
    said: list[str] = []

    chosen = ports.choose(["orders"], remembered={"orders": taken}, in_use_by_us=[], say=said.append, patience=0)

    assert chosen["orders"] != taken
    assert len(said) == 1
    assert str(taken) in said[0]


def test_a_port_that_is_taken_by_our_own_running_server_is_kept(taken: int) -> None:
    assert ports.choose(["orders"], remembered={"orders": taken}, in_use_by_us=["orders"]) == {"orders": taken}


def test_ports_of_what_is_not_started_this_time_are_remembered_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = open_folder(tmp_path_factory.mktemp("stack"))

    first = ports.settle(folder, ["orders"], [])
    ports.settle(folder, ["payments"], [])

    assert ports.settle(folder, ["orders"], [])["orders"] == first["orders"]
