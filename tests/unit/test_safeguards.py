"""What tests/faults/weakening.py cuts out is found by its exact text, so a change that moves it is noticed here, in seconds."""

import pytest

from deploy.stack.state import CHECKOUT
from tests.faults import suite
from tests.faults.weakening import SAFEGUARDS, Safeguard


@pytest.mark.parametrize("safeguard", SAFEGUARDS.values(), ids=SAFEGUARDS)
def test_a_safeguard_stands_where_it_would_be_cut_out_and_its_faults_can_be_let_loose(safeguard: Safeguard) -> None:
    moved = [path for path, is_there, _ in safeguard.changes if is_there not in (CHECKOUT / path).read_text()]

    assert moved == []
    assert [fault.name for fault in suite.faults(safeguard.faults)] != []
