"""What ends a command as Ctrl-C does, and what does not."""

import os
import signal
from collections.abc import Iterator

import pytest

from deploy.stack.undoing import ended_like_interrupted


@pytest.fixture(params=[signal.SIGHUP, signal.SIGTERM])
def ending(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    before = signal.getsignal(request.param)
    yield request.param
    signal.signal(request.param, before)


def test_a_polite_end_is_like_an_interruption(ending: signal.Signals) -> None:
    signal.signal(ending, signal.SIG_DFL)

    with pytest.raises(KeyboardInterrupt), ended_like_interrupted():
        os.kill(os.getpid(), ending)


def test_what_the_caller_has_ignored_stays_ignored_as_under_nohup(ending: signal.Signals) -> None:
    signal.signal(ending, signal.SIG_IGN)

    with ended_like_interrupted():
        os.kill(os.getpid(), ending)

    assert signal.getsignal(ending) == signal.SIG_IGN
